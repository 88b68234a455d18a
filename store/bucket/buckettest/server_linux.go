package buckettest

import (
	"os/exec"
	"syscall"
)

// endWithParent has the child killed when this process dies, however it dies. An interrupt from
// the terminal does not reach it: its clients may have something to finish first.
func endWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
