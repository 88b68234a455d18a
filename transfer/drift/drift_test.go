package drift

import "testing"

func TestDecide(t *testing.T) {
	none, adopt, overwrite, remove := Options{}, Options{Adopt: true}, Options{Overwrite: true}, Options{Delete: true}
	columns := []Options{none, adopt, overwrite, remove}
	for _, row := range []struct {
		class    Class
		atSource bool
		want     [4]Action
	}{
		{New, true, [4]Action{Keep, Adopt, Replace, Keep}},
		{New, false, [4]Action{Keep, Adopt, Keep, Delete}},
		{Changed, true, [4]Action{Keep, Adopt, Replace, Keep}},
		{Changed, false, [4]Action{Keep, Adopt, Keep, Delete}},
		{Missing, true, [4]Action{Restore, Restore, Restore, Restore}},
		{Missing, false, [4]Action{Forget, Forget, Forget, Forget}},
	} {
		for i, o := range columns {
			if got := Decide(row.class, o, row.atSource); got != row.want[i] {
				t.Errorf("%v, at the source %v, %+v: %v, want %v", row.class, row.atSource, o, got, row.want[i])
			}
		}
	}
}

// Without an option nothing of somebody else's is touched; and each option does what it does beside
// the others as well.
func TestDecideTogether(t *testing.T) {
	for bits := range 8 {
		o := Options{bits&1 > 0, bits&2 > 0, bits&4 > 0}
		for _, c := range []Class{New, Changed} {
			for _, at := range []bool{true, false} {
				got := Decide(c, o, at)
				may := o.Adopt || o.Overwrite && at || o.Delete && !at
				if (got != Keep) != may {
					t.Errorf("%v, at the source %v, %+v: %v", c, at, o, got)
				}
			}
		}
	}
}

func TestCount(t *testing.T) {
	var n Count
	for _, c := range []Class{New, Changed, Changed, Missing, Missing, Missing} {
		n.Add(c)
	}
	if (n != Count{1, 2, 3}) || n.Total() != 6 {
		t.Errorf("%+v", n)
	}
}
