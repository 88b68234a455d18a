package transfer

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"merkur/manifest"
	"merkur/store/bucket/buckettest"
	"merkur/transfer/pace"
)

// A first run finds, when it is about to say that it takes the prefix over, that another one has done so. What
// somebody else has put there since is not the mirror's, also where the run dies before it has listed anything.
func TestTwoFirstRuns(t *testing.T) {
	for _, dies := range []bool{false, true} {
		store := &buckettest.Memory{}
		one, two := newMachine(t, store), newMachine(t, store)
		one.write(map[string]string{"one": "1"})
		two.write(map[string]string{"theirs": "mine", "two": "2"})
		dead := false
		dying := func(op buckettest.Op, _ string) buckettest.Outcome {
			if dead = dead || op == buckettest.List; dead {
				return buckettest.NotStored
			}
			return buckettest.OK
		}
		store.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
			if op == buckettest.Put && key == "p/"+manifest.Reserved+"manifest" {
				store.Fault = nil
				one.goes(nil)
				put(t, store, "p/theirs", "theirs")
				if dies {
					store.Fault = dying
				}
			}
			return buckettest.OK
		}
		two.try(t.Context(), nil)
		store.Fault = nil
		two.run(nil)
		if got := string(store.Objects()["p/theirs"]); got != "theirs" || !slices.Contains(two.lines, "drift theirs: foreign-new, keep") {
			t.Errorf("dies %v: what somebody else has stored is %q now; the run said:\n%s", dies, got, strings.Join(two.lines, "\n"))
		}
	}
}

// The very first run dies after each of its requests in turn: while it adopts what another tool has put
// there, tries the server out, and sends an object in parts. The next one brings all together.
func TestFirstRunDiesAfterEveryRequest(t *testing.T) {
	for _, last := range []buckettest.Outcome{buckettest.Stored, buckettest.NotStored} {
		for n, whole := 0, false; !whole; n++ {
			m := newMachine(t, &buckettest.Memory{})
			m.o.Parts = Parts{Threshold: 1 << 20, Size: leastPart}
			m.write(map[string]string{"same": "1", "other": "2", "new": "3", "parts": strings.Repeat("x", leastPart+1)})
			put(t, m.store, "p/same", "1")
			put(t, m.store, "p/other", "1")
			put(t, m.store, "p/theirs", "1")
			var seen atomic.Int64
			m.store.Fault = func(buckettest.Op, string) buckettest.Outcome {
				switch i := int(seen.Add(1)); {
				case i <= n:
					return buckettest.OK
				case i == n+1:
					return last
				}
				return buckettest.NotStored
			}
			sum, err := m.try(t.Context(), func(o *Options) { o.Delete, o.Gate = true, pace.Fixed(1) })
			m.store.Fault = nil
			whole = err == nil && int(seen.Load()) <= n
			if err == nil && !whole && sum.Failed == 0 && sum.Transferred < 3 {
				t.Errorf("died after request %d, and tells nothing of it: %+v", n, sum)
			}
			m.mirrors()
			if m.mirrors(); len(m.calls) != 1 || t.Failed() {
				t.Fatalf("died after request %d (%v): the second run after that takes %v", n, last, m.calls)
			}
		}
	}
}

// Where there is nothing to compare with and no cache, a first run reads each file once, when it sends it;
// with a cache it hashes them for the next run. The manifest is the same.
func TestFirstRunReadsOnce(t *testing.T) {
	var roots []manifest.Root
	for _, cached := range []bool{false, true} {
		m := newMachine(t, &buckettest.Memory{})
		m.write(map[string]string{"a": "1", "sub/b": "22", "sub/c": "333"})
		uncached := func(o *Options) {
			if !cached {
				o.Scan.Cache = nil
			}
		}
		first, err := m.try(t.Context(), uncached)
		if err != nil || first.Transferred != 3 || first.Scan.Files != 3 || (first.Scan.HashedFiles > 0) != cached {
			t.Errorf("with a cache %v: %+v, %v", cached, first, err)
		}
		roots = append(roots, first.Root)
		m.write(map[string]string{"sub/d": "4444"})
		if next, err := m.try(t.Context(), uncached); err != nil || next.Transferred != 1 || next.Scan.HashedFiles == 0 {
			t.Errorf("with a cache %v, the next run: %+v, %v", cached, next, err)
		}
	}
	if roots[0].Digest != roots[1].Digest {
		t.Errorf("the trees are %x and %x", roots[0].Digest, roots[1].Digest)
	}
}
