//go:build unix

package main

import (
	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

func fifo(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(unix.Mkfifo(ts.MkAbs(args[0]), 0o600))
}
