//go:build unix

package main

import "golang.org/x/sys/unix"

func makeFIFO(path string) bool { return unix.Mkfifo(path, 0o600) == nil }
