// Command bare is an MCP server of the library alone, with one tool that always
// returns the same object. The program is measured against it.
//
//	bare RESULT.json              serves over stdin and stdout
//	bare RESULT.json HOST:PORT    serves over Streamable HTTP, and prints its URL
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

type arguments struct {
	OperationID string `json:"operation_id"`
	WaitSeconds int    `json:"wait_seconds,omitempty"`
	IncludeURL  bool   `json:"include_download_url,omitempty"`
}

// result has the fields that get_export_operation gives for an export that has
// completed.
type result struct {
	Summary         string `json:"summary"`
	OperationID     string `json:"operation_id"`
	State           string `json:"state"`
	Percent         int    `json:"percent"`
	CreatedAt       string `json:"created_at,omitempty"`
	FinishedAt      string `json:"finished_at,omitempty"`
	ExportExpiresAt string `json:"export_expires_at,omitempty"`
	Next            string `json:"next,omitempty"`
}

func main() {
	raw, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	var out result
	if err := json.Unmarshal(raw, &out); err != nil {
		log.Fatal(err)
	}
	s := server.NewMCPServer("bare", "1")
	s.AddTool(
		mcp.NewTool("get_export_operation", mcp.WithInputSchema[arguments](), mcp.WithOutputSchema[result]()),
		mcp.NewStructuredToolHandler(func(context.Context, mcp.CallToolRequest, arguments) (result, error) {
			return out, nil
		}),
	)
	if len(os.Args) == 2 {
		log.Fatal(server.ServeStdio(s))
	}
	l, err := net.Listen("tcp", os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Fprintf(os.Stderr, "MCP at http://%s/mcp\n", l.Addr())
	log.Fatal(http.Serve(l, server.NewStreamableHTTPServer(s)))
}
