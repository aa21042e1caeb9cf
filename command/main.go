package command

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// sameSignal is how long after the first signal further ones are ignored: timeout(1)
// and other wrappers send one signal both to the process and to its group.
const sameSignal = time.Second

// Main runs the program with the arguments, environment and streams of this process until
// it ends or a signal stops it, and ends the process. It does not return.
func Main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() {
		time.Sleep(sameSignal)
		stop() // from now on a signal ends the process at once
	})
	err := Run(ctx, os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(Status(err))
}
