package command

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"slices"

	"fullstory-export-mcp/auth"
)

// protection is who may use the server. Without callers and issuer that is anybody who
// can reach its address.
type protection struct {
	callers        *auth.Callers
	issuer         *auth.Issuer
	issuerAccounts []string    // accounts that the issuer's tokens can name
	tls            *tls.Config // nil without TLS
}

// accounts returns the names of the accounts that the server works for, sorted. The
// callers file is read again when it changes, so they can differ from call to call.
func (p protection) accounts() []string {
	names := slices.Clone(p.issuerAccounts)
	if p.callers != nil {
		names = append(names, p.callers.Accounts()...)
	}
	if p.callers == nil && p.issuer == nil {
		names = []string{""}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// protection returns who may use the server. It fails if other machines can reach the
// address without a token, because then anybody there could use the API key.
func (s *serveCommand) protection(a *app) (p protection, err error) {
	host, _, err := net.SplitHostPort(s.Addr)
	if err != nil {
		return p, &exitError{statusUsage, fmt.Errorf("--addr %s: give HOST:PORT, such as 127.0.0.1:8931", s.Addr)}
	}
	local := auth.IsLoopback(host)
	if err := s.openAuth(&p, a); err != nil {
		return p, &exitError{statusUsage, err}
	}
	if !local && p.issuer == nil && (p.callers == nil || p.callers.Len() == 0) {
		return p, &exitError{statusUsage, fmt.Errorf("--addr %s: other machines can reach this address, "+
			"and anybody there could use the API key; "+
			"give --callers FILE with at least one caller (serve token creates one), --oauth-issuer, "+
			"or an address of this machine only, such as 127.0.0.1:8931", s.Addr)}
	}
	if (s.TLSCert == "") != (s.TLSKey == "") {
		return p, &exitError{statusUsage, errors.New("--tls-cert and --tls-key go together; give both")}
	}
	if s.TLSCert != "" {
		if p.tls, err = auth.Certificate(s.TLSCert, s.TLSKey); err != nil {
			return p, &exitError{statusUsage, err}
		}
	}
	if !local && p.tls == nil {
		a.log.Warn("tokens and data are not encrypted; give --tls-cert and --tls-key, or put a proxy with TLS in front")
	}
	// A missing key is not fatal: calls of that account say how to set it.
	for _, name := range p.accounts() {
		if _, err := a.environment.requiredKey(name); err != nil && !a.config.Sandbox {
			a.log.Warn(err.Error())
		}
	}
	return p, nil
}

// openAuth sets the callers and the issuer of p.
func (s *serveCommand) openAuth(p *protection, a *app) (err error) {
	if s.Callers != "" {
		if p.callers, err = auth.OpenCallers(s.Callers); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("--callers %s: no such file; `serve token NAME --callers %s` creates it", s.Callers, s.Callers)
		}
		if err != nil {
			return err
		}
	}
	if s.WebClient != "" && s.Issuer == "" {
		return errors.New("--web-client-id needs --oauth-issuer, at which people sign in")
	}
	if s.Issuer == "" {
		return nil
	}
	if s.Audience == "" {
		return errors.New("--oauth-issuer needs --oauth-audience: tokens for another server are not accepted")
	}
	if len(s.Accounts) > 0 && s.Claim == "" {
		return errors.New("--oauth-account needs --oauth-claim, the claim whose values it maps to accounts")
	}
	p.issuer, err = auth.NewIssuer(auth.IssuerOptions{
		URL: s.Issuer, Audience: s.Audience, ScopeClaim: s.ScopeClaim, Claim: s.Claim, Accounts: s.Accounts, Log: a.log,
	})
	if err != nil {
		return fmt.Errorf("--oauth-issuer: %w", err)
	}
	var named []string
	if p.callers != nil {
		named = p.callers.Accounts()
	}
	if len(named) > 0 && (s.Claim != "") != (named[0] != "") {
		return errors.New("either the callers of the file and the issuer's tokens both name accounts or neither does, " +
			"so that the files of different accounts are never mixed")
	}
	p.issuerAccounts = []string{""}
	if s.Claim != "" {
		p.issuerAccounts = slices.Collect(maps.Values(s.Accounts))
	}
	return nil
}
