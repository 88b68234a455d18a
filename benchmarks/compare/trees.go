//go:build unix

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// The trees. All but the real one are made from a seed, so that they are the same everywhere.
var trees = map[string]func(s *stage, dir string) error{
	"goroot": func(_ *stage, dir string) error {
		out, err := exec.Command("go", "env", "GOROOT").Output()
		if err != nil {
			return err
		}
		return os.CopyFS(dir, os.DirFS(filepath.Join(strings.TrimSpace(string(out)), "src")))
	},
	"small":   func(s *stage, dir string) error { return plant(dir, s.scaled(20_000), 100, 4<<10) },
	"many":    func(s *stage, dir string) error { return plant(dir, s.scaled(200_000), 100, 4<<10) },
	"million": func(s *stage, dir string) error { return plant(dir, s.scaled(1_000_000), 100, 100) },
	"wide":    func(s *stage, dir string) error { return plant(dir, s.scaled(1_000_000), 1_000_000, 100) },
	"two":     func(s *stage, dir string) error { return huge(dir, int64(s.o.scale*(2<<30))) },
	"four":    func(s *stage, dir string) error { return huge(dir, int64(s.o.scale*(4<<30))) },
}

func (s *stage) scaled(n int) int { return max(int(float64(n)*s.o.scale), 1) }

// tree returns the directory of a tree, which is made if it is not there yet.
func (s *stage) tree(name string) string { return filepath.Join(s.dir, name) }

// makeTrees makes the trees that are not there yet.
func (s *stage) makeTrees(names ...string) error {
	for _, name := range names {
		if _, made := s.trees[name]; made {
			continue
		}
		if err := trees[name](s, s.tree(name)); err != nil {
			return fmt.Errorf("make tree %s: %w", name, err)
		}
		s.trees[name] = time.Now()
	}
	return nil
}

// settleAge is how old a file has to be before merkur trusts its times.
const settleAge = 130 * time.Second

// settle waits until the files of a tree are old enough for their times to be trusted.
func (s *stage) settle(name string) error {
	select {
	case <-time.After(time.Until(s.trees[name].Add(settleAge))):
		return nil
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}

// plant makes n files of size bytes, no two alike, perDir in a directory.
func plant(root string, n, perDir, size int) error {
	r := rand.NewChaCha8([32]byte{1})
	body := make([]byte, size)
	for i := range n {
		dir := filepath.Join(root, fmt.Sprintf("%03d", i/perDir/100), fmt.Sprintf("%03d", i/perDir%100))
		if i%perDir == 0 {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
		}
		r.Read(body)
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("file-%07d", i)), body, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// huge makes one file.
func huge(root string, size int64) error {
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(root, "huge.bin"))
	if err != nil {
		return err
	}
	r := rand.NewChaCha8([32]byte{2})
	block := make([]byte, 1<<20)
	for left := size; left > 0 && err == nil; left -= int64(len(block)) {
		block = block[:min(left, int64(len(block)))]
		r.Read(block)
		_, err = f.Write(block)
	}
	return errors.Join(err, f.Close())
}

// touch gives all files of a tree the present time.
func (s *stage) touch(name string) error {
	now := time.Now()
	s.trees[name] = now
	return filepath.WalkDir(s.tree(name), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		return os.Chtimes(path, now, now)
	})
}
