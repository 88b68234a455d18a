package audit

import (
	"strings"
	"syscall"
)

// etagOf is what versitygw has noted beside an object.
func etagOf(path string) string {
	b := make([]byte, 256)
	n, err := syscall.Getxattr(path, "user.etag", b)
	if err != nil {
		return ""
	}
	return strings.Trim(string(b[:n]), `"`)
}
