//go:build !unix

package main

func makeFIFO(path string) bool { return false }
