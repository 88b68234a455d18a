package buckettest

import (
	"os/exec"
	"syscall"
)

// endWithParent has the child killed when this process dies, however it dies.
func endWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
