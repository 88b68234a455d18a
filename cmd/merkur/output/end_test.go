package output

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func TestNames(t *testing.T) {
	base := t.TempDir()
	cwd := filepath.Join(base, "w")
	if err := os.Mkdir(cwd, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(cwd)
	// What aws shows, run in the same directories.
	for _, c := range []struct{ dir, key, name string }{
		{".", "f", "./f"}, {".", ".f", "./.f"}, {".", "x/f", "x/f"}, {".", "x/y/f ", "x/y/f "}, {".", "tail/", "tail/"},
		{"sub", "f", "sub/f"}, {"sub/", "x/f", "sub/x/f"}, {"./sub/../sub", ".f", "sub/.f"},
		{"..", "f", "../f"}, {"..", "x/f", "../x/f"}, {"../v", "tail/", "../v/tail/"}, {"../w", "f", "./f"},
		{base, "f", "../f"},
	} {
		if got, want := Local(c.dir).Name(c.key), filepath.FromSlash(c.name); got != want {
			t.Errorf("%s, %s: %q, want %q", c.dir, c.key, got, want)
		}
	}
	if got, want := Local("sub").URL("x/f"), filepath.Join(cwd, "sub", "x", "f"); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := Remote("b", "p/").Name("x//f"); got != "s3://b/p/x//f" {
		t.Error(got)
	}
	if got := Remote("b", "").URL("x"); got != "s3://b/x" {
		t.Error(got)
	}
	if runtime.GOOS == "windows" {
		other := `Q:\tree`
		if filepath.VolumeName(cwd) == "Q:" {
			other = `R:\tree`
		}
		if got := Local(other).Name("x/f"); got != other+`\x\f` {
			t.Errorf("on another drive: %q", got)
		}
	}
}
