package tools

import (
	"encoding/json"

	"github.com/mark3labs/mcp-go/mcp"

	"fullstory-export-mcp/exports"
	"fullstory-export-mcp/schema"
)

// retryAfterField is the field of a failed call that says after how many seconds the same
// call may succeed.
const retryAfterField = "retry_after_seconds"

// failed returns the result of a call that failed. If it is known when the same call may
// succeed, the result has structured content: clients compare it with the schema out of the
// tool's results, and hosts may show only one of the two, so it has the required fields of
// out, empty but for the text in summary.
func failed(x exports.Explanation, out *schema.Schema) *mcp.CallToolResult {
	text := x.ForModel()
	result := mcp.NewToolResultError(text)
	seconds := x.RetryAfterSeconds()
	if seconds <= 0 {
		return result
	}
	content := out.Empty()
	content["summary"], content[retryAfterField] = text, seconds
	if raw, err := json.Marshal(content); err == nil {
		result.StructuredContent = json.RawMessage(raw)
	}
	return result
}
