package command

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"
)

// parentCheck is how often a server over stdio looks whether its host still exists.
const parentCheck = 2 * time.Second

var errParentEnded = errors.New("the host that started this server has ended")

// withParent returns a context that ends when the process that started this one has
// ended. The host's end of stdin can stay open after that, in a process that the host
// started as well, and then nothing else would end this server. On Windows a process
// keeps the id of its parent, so there stdin alone decides.
func withParent(ctx context.Context, log *slog.Logger) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	parent := os.Getppid()
	ticker := time.NewTicker(parentCheck)
	go func() {
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				if os.Getppid() != parent {
					log.Info("the process that started this server has ended, so the server ends")
					cancel(errParentEnded)
					return
				}
			}
		}
	}()
	return ctx, func() { cancel(nil) }
}
