package main

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestWireConnectTimeout gives a server up that takes no connection after the time that the command line says. It
// has one waiting connection already, and no room for another: Linux drops what asks for one then.
func TestWireConnectTimeout(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	room := os.NewFile(uintptr(fd), "listener")
	defer room.Close()
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	at, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", at.(*unix.SockaddrInet4).Port)
	waiting, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer waiting.Close()

	w := newWire(t)
	w.child = true
	w.write("d/a.txt", "text")
	w.set("AWS_ENDPOINT_URL=http://"+addr, "AWS_MAX_ATTEMPTS=1")
	half := net.Dialer{Timeout: 30 * time.Second} // of the time that it has without the option
	patient := make(chan error, 1)
	go func() {
		_, err := half.DialContext(t.Context(), "tcp", addr)
		patient <- err
	}()
	o := w.run("sync", "d", "s3://here", "--cli-connect-timeout", "1")
	if o.code != exitFailed || !strings.Contains(o.errors, "dial") || !strings.Contains(o.errors, "timeout") {
		t.Errorf("exit code %d, %s", o.code, o.errors)
	}
	select {
	case err := <-patient:
		t.Errorf("it takes at least half as long as without the option, as another connection shows: %v", err)
	default:
	}
}
