//go:build unix

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"merkur/benchmarks/figures"
)

// A contest is a work and who does it. The first rival is merkur.
type contest struct {
	name, title string
	prepare     func(s *stage) error // once, not measured
	rivals      []rival
	bars        []figures.Bar
}

// A rival is a tool with the command by which it does a work.
type rival struct {
	name  string
	needs string // of the stage's tools; empty: it is always there
	// command returns the command of one run, having made ready what that needs; clean, if not nil, is
	// called after it. Neither is measured.
	command func(s *stage) (args []string, clean func(), err error)
}

var contests = []contest{
	{
		name: "noop-million", title: "No-op sync of 1,000,000 files", prepare: mirrored("million", 1),
		rivals: []rival{
			simple("merkur", "merkur", syncUp("million")),
			simple("git status", "git", func(s *stage) []string {
				return []string{s.tools["git"], "--work-tree=" + s.tree("million"), "status", "--short"}
			}),
			simple("find -printf", "find", func(s *stage) []string {
				return []string{s.tools["find"], s.tree("million"), "-type", "f", "-printf", `%s %T@ %C@\n`}
			}),
		},
		bars: []figures.Bar{{Tool: "git status", Of: figures.Wall, Most: 0.75}, {Tool: "find -printf", Of: figures.Wall, Most: 0.6}, {Of: figures.Peak, Most: 150 << 20}},
	},
	{
		name: "noop", title: "No-op sync of GOROOT/src", prepare: mirrored("goroot", 4), rivals: peers("goroot"),
		bars: []figures.Bar{{Tool: "s5cmd", Of: figures.Wall, Most: 0.1}, {Tool: "rclone", Of: figures.Wall, Most: 0.1}, {Tool: "aws", Of: figures.Wall, Most: 0.04}},
	},
	{
		name: "touched", title: "Sync of GOROOT/src after a touch of every file", prepare: mirrored("goroot", 4), rivals: touched(peers("goroot"), "goroot"),
		bars: []figures.Bar{{Tool: "rclone", Of: figures.Wall, Most: 0.35}, {Tool: "s5cmd", Of: figures.Wall, Most: 0.025}, {Tool: "aws", Of: figures.Wall, Most: 0.01}},
	},
	{
		name: "hash-many", title: "Hash of 200,000 files of 4 KiB, no cache", prepare: planted("many", listOf("many")),
		rivals: []rival{
			simple("merkur root", "merkur", func(s *stage) []string { return []string{s.tools["merkur"], "root", s.tree("many"), "--no-cache"} }),
			simple("b3sum", "b3sum", func(s *stage) []string {
				return []string{"sh", "-c", `exec xargs -a "$1" "$0" --no-names`, s.tools["b3sum"], s.tree("many") + ".list"}
			}),
			simple("open, read, close", "", func(s *stage) []string { return []string{s.self, "floor", s.tree("many"), "4096"} }),
		},
		bars: []figures.Bar{{Tool: "b3sum", Of: figures.Wall, Most: 0.5}, {Tool: "open, read, close", Of: figures.Wall, Most: 2.8}},
	},
	{
		name: "hash-huge", title: "Hash of one file of 2 GiB", prepare: planted("two", nil),
		rivals: []rival{
			simple("merkur root", "merkur", func(s *stage) []string { return []string{s.tools["merkur"], "root", s.tree("two"), "--no-cache"} }),
			simple("b3sum", "b3sum", func(s *stage) []string { return []string{s.tools["b3sum"], filepath.Join(s.tree("two"), "huge.bin")} }),
			simple("one stream of zeebo", "", func(s *stage) []string { return []string{s.self, "stream", filepath.Join(s.tree("two"), "huge.bin")} }),
		},
		bars: []figures.Bar{{Tool: "b3sum", Of: figures.Wall, Most: 1 / 0.6}, {Tool: "one stream of zeebo", Of: figures.Wall, Most: 0.5}},
	},
	{
		name: "first", title: "First upload of GOROOT/src", prepare: planted("goroot", nil), rivals: fresh(peers("goroot")[:3], "goroot"),
		bars: []figures.Bar{{Tool: "rclone", Of: figures.CPU, Most: 0.2}, {Tool: "s5cmd", Of: figures.CPU, Most: 0.1},
			{Tool: "rclone", Of: figures.Wall, Most: 0.5}, {Tool: "s5cmd", Of: figures.Wall, Most: 0.35}},
	},
	{
		name: "null", title: "Upload of 20,000 files of 4 KiB to a server that does nothing", prepare: planted("small", nil),
		rivals: []rival{
			{name: "merkur", needs: "merkur", command: func(s *stage) ([]string, func(), error) {
				s.fresh++
				return []string{s.tools["merkur"], "sync", s.tree("small"), fmt.Sprintf("s3://bucket/%d", s.fresh), "--endpoint-url", s.at, "--no-cache", "--only-show-errors"}, nil, nil
			}},
			simple("bare signed puts", "", func(s *stage) []string {
				return []string{s.self, "bare", s.at, strconv.Itoa(s.scaled(20_000)), "4096"}
			}),
		},
		bars: []figures.Bar{{Tool: "bare signed puts", Of: figures.CPU, Most: 2}},
	},
	{
		name: "down", title: "Download of 20,000 files of 4 KiB", prepare: mirrored("small", 3), rivals: down(peers("small")[:3], "small"),
		bars: []figures.Bar{{Tool: "rclone", Of: figures.CPU, Most: 0.25}, {Tool: "rclone", Of: figures.Wall, Most: 0.6}},
	},
	{
		name: "huge-up", title: "Upload of one file of 4 GiB", prepare: planted("four", nil), rivals: fresh(peers("four"), "four"),
		bars: []figures.Bar{{Tool: "rclone", Of: figures.Wall, Most: 1}, {Tool: "s5cmd", Of: figures.Wall, Most: 1}, {Tool: "aws", Of: figures.Wall, Most: 1}, {Of: figures.Peak, Most: 200 << 20}},
	},
	{
		name: "huge-down", title: "Download of one file of 4 GiB", prepare: mirrored("four", 4), rivals: down(peers("four"), "four"),
		bars: []figures.Bar{{Tool: "rclone", Of: figures.Wall, Most: 1}, {Tool: "s5cmd", Of: figures.Wall, Most: 1}, {Tool: "aws", Of: figures.Wall, Most: 1}, {Of: figures.Peak, Most: 200 << 20}},
	},
	{
		name: "list-million", title: "Compare of 1,000,000 files by listing (--size-only), with a server that only lists", prepare: planted("million", nil),
		rivals: []rival{
			simple("merkur", "merkur", func(s *stage) []string {
				return []string{s.tools["merkur"], "sync", s.tree("million"), "s3://" + listedBucket + "/million", "--endpoint-url", s.at, "--size-only", "--only-show-errors"}
			}),
			simple("s5cmd", "s5cmd", func(s *stage) []string {
				return []string{s.tools["s5cmd"], "--endpoint-url", s.at, "--log", "error", "sync", "--size-only", s.tree("million") + "/", "s3://" + listedBucket + "/million/"}
			}),
		},
		bars: []figures.Bar{{Tool: "s5cmd", Of: figures.CPU, Most: 0.15}, {Of: figures.CPU, Most: 3}},
	},
}

// simple is a rival that needs nothing made ready.
func simple(name, needs string, args func(s *stage) []string) rival {
	return rival{name, needs, func(s *stage) ([]string, func(), error) { return args(s), nil, nil }}
}

// syncUp is merkur's command for a tree.
func syncUp(tree string) func(s *stage) []string {
	return func(s *stage) []string {
		return []string{s.tools["merkur"], "sync", s.tree(tree), "s3://of-merkur/" + tree, "--endpoint-url", s.front, "--only-show-errors"}
	}
}

// copies are the commands by which the tools copy, in a contest between all of them: from, to, and
// whether from is a directory on this machine.
var copies = []struct {
	name string
	args func(s *stage, from, to string) []string
}{
	{"merkur", func(s *stage, from, to string) []string {
		return []string{s.tools["merkur"], "sync", from, to, "--endpoint-url", s.front, "--only-show-errors"}
	}},
	{"rclone", func(s *stage, from, to string) []string {
		return []string{s.tools["rclone"], "sync", "--checksum", "--fast-list", "-q", remote(from), remote(to)}
	}},
	{"s5cmd", func(s *stage, from, to string) []string {
		return []string{s.tools["s5cmd"], "--endpoint-url", s.front, "--log", "error", "sync", all(from), slash(to)}
	}},
	{"aws", func(s *stage, from, to string) []string {
		return []string{s.tools["aws"], "--endpoint-url", s.front, "s3", "sync", "--only-show-errors", from, to}
	}},
}

// remote is an s3:// path as rclone has it.
func remote(path string) string {
	if isRemote(path) {
		return "S:" + path[len("s3://"):]
	}
	return path
}

func isRemote(path string) bool { return len(path) > 5 && path[:5] == "s3://" }

func slash(path string) string { return path + "/" }

// all is all that is below a path, as s5cmd has it.
func all(path string) string {
	if isRemote(path) {
		return path + "/*"
	}
	return path + "/"
}

// peers are all tools that mirror a tree to where they have it already.
func peers(tree string) (list []rival) {
	for _, c := range copies {
		list = append(list, simple(c.name, c.name, func(s *stage) []string { return c.args(s, s.tree(tree), "s3://of-"+c.name+"/"+tree) }))
	}
	return list
}

// touched has every file of the tree touched before each run.
func touched(rivals []rival, tree string) []rival {
	for i := range rivals {
		command := rivals[i].command
		rivals[i].command = func(s *stage) ([]string, func(), error) {
			if err := s.touch(tree); err != nil {
				return nil, nil, err
			}
			return command(s)
		}
	}
	return rivals
}

// fresh has the tools upload a tree to where nothing is, knowing nothing of it.
func fresh(rivals []rival, tree string) []rival {
	for i := range rivals {
		c := copies[i]
		rivals[i].command = func(s *stage) ([]string, func(), error) {
			s.fresh++
			name := fmt.Sprintf("%s-%d", tree, s.fresh)
			args := c.args(s, s.tree(tree), "s3://of-"+c.name+"/"+name)
			if c.name == "merkur" {
				args = append(args, "--no-cache")
			}
			return args, func() { os.RemoveAll(filepath.Join(s.data, "objects", "of-"+c.name, name)) }, nil
		}
	}
	return rivals
}

// down has the tools download a tree to where nothing is. Many small files are left there until the end:
// ext4 looks at each inode that was freed in the last minutes before it takes another one, which would be
// most of what the next download costs.
func down(rivals []rival, tree string) []rival {
	for i := range rivals {
		c := copies[i]
		rivals[i].command = func(s *stage) ([]string, func(), error) {
			s.fresh++
			to := filepath.Join(s.dir, fmt.Sprintf("down-%d", s.fresh))
			args := c.args(s, "s3://of-"+c.name+"/"+tree, to)
			if c.name == "merkur" {
				args = append(args, "--no-cache")
			}
			if tree == "small" {
				return args, nil, nil
			}
			return args, func() { os.RemoveAll(to) }, nil
		}
	}
	return rivals
}

// planted makes a tree, and what goes with it.
func planted(tree string, more func(s *stage) error) func(s *stage) error {
	return func(s *stage) error {
		if err := s.makeTrees(tree); err != nil || more == nil {
			return err
		}
		return more(s)
	}
}

// listOf writes the names of all files of a tree into a file beside it.
func listOf(tree string) func(s *stage) error {
	return func(s *stage) error {
		out, err := exec.Command("find", s.tree(tree), "-type", "f").Output()
		if err != nil {
			return err
		}
		return os.WriteFile(s.tree(tree)+".list", out, 0o644)
	}
}

// mirrored has the first of the peers upload a tree, and merkur look at it once more when its files
// are old enough. Of the tree of a million there is an index of git, too.
func mirrored(tree string, tools int) func(s *stage) error {
	return func(s *stage) error {
		if err := s.makeTrees(tree); err != nil {
			return err
		}
		for _, r := range peers(tree)[:tools] {
			if s.tools[r.needs] == "" {
				continue
			}
			if _, err := s.once(r); err != nil {
				return err
			}
		}
		if tree == "million" {
			if err := s.index(tree); err != nil {
				return err
			}
		}
		if err := s.settle(tree); err != nil {
			return err
		}
		_, err := s.run(syncUp(tree)(s))
		return err
	}
}

// index makes an index of git for a tree, without storing what is in its files.
func (s *stage) index(tree string) error {
	git := s.tools["git"]
	if git == "" {
		return nil
	}
	script := `set -e
"$0" init -q
"$0" config core.untrackedCache false
cd "$1"
find . -type f -printf '%P\0' | "$0" --work-tree=. update-index --add -z --stdin
tree=$("$0" write-tree)
"$0" update-ref HEAD "$("$0" -c user.name=x -c user.email=x@example.org commit-tree "$tree" -m x)"
"$0" --work-tree=. status --short > "$GIT_DIR/first"
test ! -s "$GIT_DIR/first"`
	_, err := s.run([]string{"sh", "-c", script, git, s.tree(tree)})
	return err
}
