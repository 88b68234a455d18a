package lab

import "syscall"

// PeakMemory is the most memory, in bytes, that this process has had; 0 if that is not known.
func PeakMemory() int64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return u.Maxrss
}
