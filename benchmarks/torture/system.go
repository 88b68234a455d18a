package main

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// changing are the system calls by which the program changes files: drafts and their names, the
// journal of uploads, the cache.
var changing = []string{"renameat", "unlinkat", "mkdirat", "utimensat", "fsync", "ftruncate", "pwrite64", "flock"}

// systemCalls kills the program before each system call of a kind, with the help of strace. Where
// there is none, it does nothing. strace counts the calls of each thread apart, so that a number may
// stand for several of them.
func (g *rig) systemCalls(ctx context.Context, seed uint64) error {
	strace, err := exec.LookPath("strace")
	if err != nil {
		g.tally.add(g.tally.kills, "no system call, since there is no strace")
		return nil
	}
	k := massacre{course: courses[seed%uint64(len(courses))], grow: 10, change: 4, large: true}
	w, err := g.begin(ctx, k, "system-"+string(k.course), seed)
	if err != nil {
		return err
	}
	defer w.close()
	for _, call := range changing {
		for n, idle := 1, 0; idle < 3; n++ {
			if w.dead || w.over(ctx) {
				return ctx.Err()
			}
			struck, err := w.killAtCall(ctx, k, strace, call, n)
			if err != nil {
				return err
			}
			if idle++; struck {
				idle = 0
			}
		}
	}
	return nil
}

// killAtCall has the program killed before the nth system call of a kind in some thread.
func (w *world) killAtCall(ctx context.Context, k massacre, strace, call string, n int) (struck bool, err error) {
	if err := w.alter(k); err != nil {
		return false, err
	}
	if err := w.prepare(ctx, k.course); err != nil || w.dead {
		return false, err
	}
	before, err := w.destination(k.course)
	if err != nil {
		return false, err
	}
	w.under = strings.Fields(fmt.Sprintf("%s -f -qq -o /dev/null --seccomp-bpf -e trace=%s -e inject=%s:signal=KILL:when=%d", strace, call, call, n))
	o, err := w.run(ctx, nil, w.args(k.course, "--delete")...)
	w.under = nil
	if err != nil {
		return false, err
	}
	o.struck = o.code == -1 && !o.hung
	where := fmt.Sprintf("killed before %s number %d", call, n)
	if !w.endedWell(where, o) {
		return false, nil
	}
	if o.struck {
		w.tally.add(w.tally.kills, fmt.Sprintf("%s, before %s", k.course, call))
	}
	if err := w.honest(k.course, where, before, true); err != nil || w.dead {
		return false, err
	}
	return o.struck, w.settle(ctx, k.course, where+", and then")
}
