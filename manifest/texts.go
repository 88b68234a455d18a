package manifest

import "strings"

// Texts makes strings that share their memory, some ten of usual keys at a time: of a million keys that are
// listed, a million strings would be most of the work. Who keeps one keeps those beside it too, which is why
// they are no more.
type Texts struct{ b strings.Builder }

// Add returns b as a string.
func (t *Texts) Add(b []byte) string {
	if t.b.Cap()-t.b.Len() < len(b) {
		t.b.Reset()
		t.b.Grow(max(1<<10, len(b)))
	}
	start := t.b.Len()
	t.b.Write(b)
	return t.b.String()[start:]
}
