package command

import (
	"context"
	"fmt"

	"fullstory-export-mcp/sandbox"
)

type sandboxCommand struct {
	Addr           string `help:"Address to listen on." default:"127.0.0.1:8098" placeholder:"HOST:PORT"`
	sandbox.Config `group:"Simulation" envprefix:"FULLSTORY_SANDBOX_"`
}

// Run runs the simulated Fullstory until ctx ends.
func (c *sandboxCommand) Run(ctx context.Context, t *terminal) error {
	s, err := listenSandbox(c.Config, c.Addr)
	if err != nil {
		return err
	}
	defer s.close()
	fmt.Fprintf(t.stdout, `Simulated Fullstory at %[1]s

  key      %[2]s   (Architect: may export)
           %[3]s    (Standard: may not)
           %[4]s       (Admin)

  curl -s -H 'Authorization: Basic %[2]s' %[1]s/segments/v1
  FULLSTORY_API_KEY=%[2]s FULLSTORY_API_URL=%[1]s fullstory-export-mcp doctor

Stop it with Ctrl-C.
`, s.url, sandbox.KeyArchitect, sandbox.KeyStandard, sandbox.KeyAdmin)
	<-ctx.Done()
	return nil
}
