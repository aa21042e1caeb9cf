// Command registry checks a server.json with the code of the MCP registry, without a request to
// it: schema, texts, addresses and packages. run copies that code and this file into one module,
// because the packages are internal. It prints one line per finding, and exits with 1 if there
// are any.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/modelcontextprotocol/registry/internal/validators"
	apiv0 "github.com/modelcontextprotocol/registry/pkg/api/v0"
	"github.com/modelcontextprotocol/registry/pkg/model"
)

func main() {
	findings, err := check(os.Args[1])
	if err != nil {
		findings = append(findings, err.Error())
	}
	for _, f := range findings {
		fmt.Println(f)
	}
	if len(findings) > 0 {
		os.Exit(1)
	}
	fmt.Printf("the registry accepts %s\n", os.Args[1])
}

// check returns the reasons for which the registry would not accept a file.
func check(file string) (findings []string, err error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	fields := json.NewDecoder(bytes.NewReader(raw))
	fields.DisallowUnknownFields() // the schema allows them, so that a misspelt one would be lost
	var server apiv0.ServerJSON
	if err := fields.Decode(&server); err != nil {
		return nil, err
	}
	if server.Schema != model.CurrentSchemaURL {
		findings = append(findings, "the present schema is "+model.CurrentSchemaURL)
	}
	for _, issue := range validators.ValidateServerJSON(&server, validators.ValidationAll).Issues {
		findings = append(findings, fmt.Sprintf("%s: %s", issue.Path, issue.Message))
	}
	// The code looks at a package first, and then asks for the file or image, which this
	// context prevents.
	offline, cancel := context.WithCancel(context.Background())
	cancel()
	for _, p := range server.Packages {
		if err := validators.ValidatePackage(offline, p, server.Name); !errors.Is(err, context.Canceled) {
			findings = append(findings, fmt.Sprintf("%s: %v", p.Identifier, err))
		}
	}
	return findings, nil
}
