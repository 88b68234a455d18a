package hashing

import "fmt"

// Facts are what an open file says of itself: its size, its permission bits and its time, as an entry has them.
type Facts struct {
	Size  int64
	Mode  uint32
	MTime int64
}

// OpenRegular opens a regular file for reading. What is anything else, such as a FIFO, is refused and never
// waited for.
func OpenRegular(path string) (*Regular, Facts, error) {
	f, err := openPath(path)
	if err != nil {
		return nil, Facts{}, err
	}
	st, err := f.stat()
	if err == nil && st.kind != regular {
		err = fmt.Errorf("%s is not a regular file any more", path)
	}
	if err != nil {
		f.Close()
		return nil, Facts{}, err
	}
	return f, st.facts(), nil
}

// Facts returns the facts of now.
func (f *Regular) Facts() (Facts, error) {
	st, err := f.stat()
	return st.facts(), err
}

func (st stat) facts() Facts { return Facts{st.size, st.perm & 0o777, st.mtime} }
