package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"fullstory-export-mcp/sandbox"
)

// sandboxCommand is `sandbox`: the simulated Fullstory alone.
type sandboxCommand struct {
	Addr           string `help:"Address to listen on. Default: 127.0.0.1:8098." default:"127.0.0.1:8098" placeholder:"HOST:PORT"`
	sandboxTLS     `embed:""`
	sandbox.Config `embed:"" envprefix:"FULLSTORY_SANDBOX_"`
}

// sandboxTLS says whether a sandbox serves https. The zero value serves http.
type sandboxTLS struct {
	TLS      bool     `help:"Serve https with a certificate of its own, and print the file of the authority that clients must trust. With --state it stays the same." name:"tls" env:"FULLSTORY_SANDBOX_TLS"`
	TLSHosts []string `help:"Host names and addresses of the sandbox that clients use, besides that of --addr, localhost and those of this machine." name:"tls-host" env:"FULLSTORY_SANDBOX_TLS_HOST" placeholder:"NAME"`
}

// Run serves the simulated Fullstory until ctx ends.
func (c *sandboxCommand) Run(ctx context.Context, a *app) error {
	s, err := listenSandbox(c.Config, c.Addr, c.sandboxTLS)
	if err != nil {
		return err
	}
	defer s.close()
	trust := ""
	if s.authority != "" {
		trust = fmt.Sprintf(trusting, s.authority)
	}
	fmt.Fprintf(a.stdout, walkthrough, s.url, sandbox.KeyArchitect, sandbox.KeyStandard, sandbox.KeyAdmin,
		s.Now().UTC().AddDate(0, 0, -3).Format("2006-01-02"), trust)
	<-ctx.Done()
	return nil
}

// walkthrough is printed at the start: the keys, the steps of an export with curl, and
// how to inject faults and read the counts.
const walkthrough = `Simulated Fullstory at %[1]s

  %[2]s   Architect: may export
  %[3]s    Standard: may read
  %[4]s       Admin
%[6]s
An export by hand:

  API=%[1]s; AUTH='Authorization: Basic %[2]s'
  curl -s $API/segments/v1 -H "$AUTH"
  OP=$(curl -s $API/segments/v1/exports -H "$AUTH" -d '{"segmentId":"rageClicks",
    "type":"TYPE_EVENT","format":"FORMAT_NDJSON",
    "timeRange":{"start":"%[5]sT00:00:00Z","end":"%[5]sT06:00:00Z"}}' | sed 's/.*:"\(.*\)".*/\1/')
  sleep 2; curl -s $API/operations/v1/$OP -H "$AUTH"
  ID=$(curl -s $API/operations/v1/$OP -H "$AUTH" | sed 's/.*"searchExportId":"\([^"]*\)".*/\1/')
  LINK=$(curl -s $API/search/v1/exports/$ID/results -H "$AUTH" | sed 's/.*"location":"\([^"]*\)".*/\1/')
  curl -s "$LINK" | gunzip | head -n 3

Inject a fault:  curl -s $API/sandbox/faults -d '{"script":[{"on":"create","nth":1,"do":"500_after_accept"}]}'
See requests:    curl -s $API/sandbox/stats; curl -s $API/sandbox/requests
Connect to it:   FULLSTORY_API_KEY=%[2]s FULLSTORY_API_URL=%[1]s fullstory-export-mcp doctor

Stop it with Ctrl-C.
`

// trusting is the part of the walkthrough that says how clients trust the authority.
const trusting = `
Its certificate is signed by an authority of its own, which clients must trust:

  export CURL_CA_BUNDLE="%[1]s"       # curl
  export NODE_EXTRA_CA_CERTS="%[1]s"  # Node.js
  export SSL_CERT_FILE="%[1]s"        # Go, Ruby, Python
  export REQUESTS_CA_BUNDLE="%[1]s"   # Python with requests
`

// runningSandbox is a sandbox that listens.
type runningSandbox struct {
	*sandbox.Sandbox
	url       string
	authority string // PEM file of the authority that clients must trust; "" without TLS
	close     func()
}

// startSandbox starts the built-in sandbox of an account on a free port. It keeps
// accepted exports in dir, the folder of the account's files, so that the sandbox of
// the next process has them.
func (a *app) startSandbox(dir, account string) (*runningSandbox, error) {
	if keySourceOf(a.getenv, account) != nil || a.config.APIURL != "" {
		a.log.Info("the sandbox is used; the API key and the address that are set are ignored")
	}
	c := a.config.BuiltIn
	if account != "" {
		// Each account is an organisation of its own, with its own state.
		c.Org, c.State = cmp.Or(c.Org, "SANDBOX")+"-"+strings.ToUpper(account), ""
	}
	if c.State == "" && dir != "" {
		c.State = filepath.Join(dir, ".state", "sandbox")
	}
	return listenSandbox(c, "127.0.0.1:0", sandboxTLS{})
}

// listenSandbox starts a sandbox that listens on addr. The caller must close it.
func listenSandbox(c sandbox.Config, addr string, t sandboxTLS) (*runningSandbox, error) {
	s, err := sandbox.New(c)
	var wrong *sandbox.ConfigError
	if errors.As(err, &wrong) {
		return nil, &exitError{statusUsage, fmt.Errorf("sandbox: %w", err)}
	}
	if err != nil {
		return nil, fmt.Errorf("the sandbox cannot start: %w", err)
	}
	r := &runningSandbox{Sandbox: s}
	server := &http.Server{Handler: s, ReadHeaderTimeout: 5 * time.Second}
	listener, err := net.Listen("tcp", addr)
	if err == nil && t.TLS {
		server.TLSConfig, r.authority, err = s.TLS(append(t.TLSHosts, hostsOf(listener.Addr())...)...)
	}
	if err != nil {
		if listener != nil {
			listener.Close()
		}
		return nil, errors.Join(fmt.Errorf("the sandbox cannot start: %w", err), s.Close())
	}
	r.close = func() {
		server.Close()
		s.Close()
	}
	if t.TLS {
		r.url = "https://" + listener.Addr().String()
		go server.ServeTLS(listener, "", "")
	} else {
		r.url = "http://" + listener.Addr().String()
		go server.Serve(listener)
	}
	return r, nil
}

// dnsName matches the names that a machine can have in a certificate.
var dnsName = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)

// hostsOf returns the names and addresses of a listener. One that listens on every
// address has the name and all addresses of this machine.
func hostsOf(listening net.Addr) []string {
	host, _, err := net.SplitHostPort(listening.String())
	if err != nil {
		return nil
	}
	hosts := []string{host}
	if !net.ParseIP(host).IsUnspecified() {
		return hosts
	}
	hosts = append(hosts, "0.0.0.0")
	// A certificate cannot have a name in other scripts.
	if name, err := os.Hostname(); err == nil && dnsName.MatchString(name) {
		hosts = append(hosts, name)
	}
	addresses, _ := net.InterfaceAddrs() // without them, --tls-host names what clients use
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok {
			hosts = append(hosts, n.IP.String())
		}
	}
	return hosts
}
