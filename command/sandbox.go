package command

import (
	"context"
	"fmt"

	"fullstory-export-mcp/sandbox"
)

type sandboxCommand struct {
	Addr           string `help:"Address to listen on. Default: 127.0.0.1:8098." default:"127.0.0.1:8098" placeholder:"HOST:PORT"`
	sandbox.Config `embed:"" envprefix:"FULLSTORY_SANDBOX_"`
}

// Run runs the simulated Fullstory until ctx ends.
func (c *sandboxCommand) Run(ctx context.Context, t *terminal) error {
	s, err := listenSandbox(c.Config, c.Addr)
	if err != nil {
		return err
	}
	defer s.close()
	fmt.Fprintf(t.stdout, walk, s.url, sandbox.KeyArchitect, sandbox.KeyStandard, sandbox.KeyAdmin, s.Now().UTC().AddDate(0, 0, -3).Format("2006-01-02"))
	<-ctx.Done()
	return nil
}

// walk shows a person all four steps of an export.
const walk = `Simulated Fullstory at %[1]s

  %[2]s   Architect: may export
  %[3]s    Standard: may look
  %[4]s       Admin

An export by hand:

  API=%[1]s; AUTH='Authorization: Basic %[2]s'
  curl -s $API/segments/v1 -H "$AUTH"
  OP=$(curl -s $API/segments/v1/exports -H "$AUTH" -d '{"segmentId":"rageClicks","type":"TYPE_EVENT","format":"FORMAT_NDJSON","timeRange":{"start":"%[5]sT00:00:00Z","end":"%[5]sT06:00:00Z"}}' | sed 's/.*:"\(.*\)".*/\1/')
  sleep 2; curl -s $API/operations/v1/$OP -H "$AUTH"
  ID=$(curl -s $API/operations/v1/$OP -H "$AUTH" | sed 's/.*"searchExportId":"\([^"]*\)".*/\1/')
  LINK=$(curl -s $API/search/v1/exports/$ID/results -H "$AUTH" | sed 's/.*"location":"\([^"]*\)".*/\1/')
  curl -s "$LINK" | gunzip | head -n 3

Break it:        curl -s $API/sandbox/faults -d '{"script":[{"on":"create","nth":1,"do":"500_after_accept"}]}'
What it got:     curl -s $API/sandbox/stats; curl -s $API/sandbox/requests
This server:     FULLSTORY_API_KEY=%[2]s FULLSTORY_API_URL=%[1]s fullstory-export-mcp doctor

Stop it with Ctrl-C.
`
