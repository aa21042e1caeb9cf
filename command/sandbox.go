package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"fullstory-export-mcp/local"
	"fullstory-export-mcp/sandbox"
)

// sandboxCommand is `sandbox`: the simulated Fullstory alone.
type sandboxCommand struct {
	Addr           string   `help:"Address to listen on. Default: 127.0.0.1:8098." default:"127.0.0.1:8098" placeholder:"HOST:PORT"`
	AllowHost      []string `help:"Host names that clients of a sandbox on this machine may use, besides localhost, such as that of a proxy." placeholder:"NAME"`
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
	s, err := listenSandbox(c.Config, c.Addr, c.AllowHost, c.sandboxTLS)
	if err != nil {
		return err
	}
	defer s.close()
	if s.shared {
		a.log.Warn("other machines can reach this sandbox; its keys are new ones that are printed once, "+
			"and the routes under /sandbox/ need one too", "address", s.url)
	}
	trust := ""
	if s.authority != "" {
		trust = fmt.Sprintf(trusting, s.authority)
	}
	fmt.Fprintf(a.stdout, walkthrough, s.url, s.Keys().Architect, s.Keys().Standard, s.Keys().Admin,
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

Inject a fault:  curl -s $API/sandbox/faults -H "$AUTH" -d '{"script":[{"on":"create","nth":1,"do":"500"}]}'
See requests:    curl -s $API/sandbox/stats -H "$AUTH"; curl -s $API/sandbox/requests -H "$AUTH"
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
	shared    bool   // other machines can reach it
	close     func()
}

// startSandbox starts the built-in sandbox of an account on a free port. It keeps
// accepted exports in dir, the folder of the account's files, so that the sandbox of
// the next process has them.
func (a *app) startSandbox(dir, account string) (*runningSandbox, error) {
	if a.environment.variableSource(account) != nil || a.config.APIURL != "" {
		a.log.Info("the sandbox is used; the API key and the address that are set are ignored")
	}
	c := a.config.BuiltIn
	if account != "" {
		// Each account is an organisation of its own, with its own state.
		c.Org, c.State = cmp.Or(c.Org, "SANDBOX")+"-"+strings.ToUpper(account), ""
	}
	if c.State == "" && dir != "" {
		c.State = filepath.Join(dir, ".state", "sandbox")
		if err := local.MkdirAll(c.State); err != nil {
			return nil, unusable(dir, err)
		}
	}
	return listenSandbox(c, "127.0.0.1:0", nil, sandboxTLS{})
}

// unusable is the error of a folder of files that cannot be made or written.
func unusable(dir string, err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = fmt.Errorf("%s: %w", path.Path, path.Err)
	}
	return fmt.Errorf("the folder %s cannot be used (%w); name one with --dir in which you may write", dir, err)
}

// listenSandbox starts a sandbox that listens on addr. If other machines can reach that,
// it has keys of its own; otherwise clients may use the names of this machine and
// hosts. The caller must close it.
func listenSandbox(c sandbox.Config, addr string, hosts []string, t sandboxTLS) (*runningSandbox, error) {
	listener, err := listen(addr)
	if _, wrong := errors.AsType[*exitError](err); wrong {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("the sandbox cannot start: %w", err)
	}
	r := &runningSandbox{shared: !listener.Addr().(*net.TCPAddr).IP.IsLoopback()}
	c.OwnKeys = r.shared
	r.Sandbox, err = sandbox.New(c)
	var wrong *sandbox.ConfigError
	if errors.As(err, &wrong) {
		err = &exitError{statusUsage, fmt.Errorf("sandbox: %w", err)}
	} else if err != nil {
		err = fmt.Errorf("the sandbox cannot start: %w", err)
	}
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	server := &http.Server{ReadHeaderTimeout: 5 * time.Second}
	if t.TLS {
		// Clients that accept only Fullstory's own address reach the sandbox under that.
		hosts = slices.Concat(hosts, t.TLSHosts, sandbox.APIHosts())
		server.TLSConfig, r.authority, err = r.TLS(append(t.TLSHosts, hostsOf(listener.Addr())...)...)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("the sandbox cannot start: %w", err), listener.Close(), r.Sandbox.Close())
		}
	}
	server.Handler = r.Guarded(r.shared, hosts...)
	r.close = func() {
		server.Close()
		r.Sandbox.Close()
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
