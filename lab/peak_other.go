//go:build !linux && !darwin

package lab

// PeakMemory is the most memory that this process has had: it is not known here.
func PeakMemory() int64 { return 0 }
