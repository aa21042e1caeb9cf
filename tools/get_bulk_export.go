package tools

import (
	"context"
	"strings"

	"fullstory-export-mcp/exports"
)

type getBulkIn struct {
	BulkID      string         `json:"bulk_id" jsonschema:"minLength=1,maxLength=200" jsonschema_description:"Id or name, from start_bulk_export or list_bulk_exports."`
	WaitSeconds int            `json:"wait_seconds,omitempty" jsonschema:"minimum=0,maximum=20" jsonschema_description:"Wait up to this long for its end."`
	Detail      exports.Detail `json:"detail,omitempty" jsonschema:"enum=summary,enum=problems,enum=chunks,default=summary" jsonschema_description:"problems: failed windows, missing files, warnings. chunks: all windows, files."`
	Offset      int            `json:"offset,omitempty" jsonschema:"minimum=0" jsonschema_description:"First chunk to list."`
	Limit       int            `json:"limit,omitempty" jsonschema:"minimum=1,maximum=200,default=40" jsonschema_description:"Most chunks or problems to list."`
}

type getBulkOut struct {
	exports.BulkStatus
	FileURL string `json:"file_url,omitempty"`

	file *fileLink
}

func (out getBulkOut) link() *fileLink { return out.file }

func getBulkExport(accounts Accounts, s Settings) Tool[getBulkIn, getBulkOut] {
	return Tool[getBulkIn, getBulkOut]{
		Name:        "get_bulk_export",
		Title:       "Get a bulk export",
		Description: "Shows a bulk export: chunks, rows and bytes stored so far, its end, problems and remedies.",
		Effect:      Read,
		Draws:       drawBulks(accounts, func(out any) []string { return []string{out.(getBulkOut).BulkID} }),
		Call: accounting(accounts, func(
			ctx context.Context, a *exports.Account, in getBulkIn,
		) (getBulkOut, error) {
			q := exports.BulkQuery{Detail: in.Detail, Offset: in.Offset, Limit: in.Limit}
			status, err := a.Bulk(ctx, in.BulkID, q, waitUntil(in.WaitSeconds), reporting(ctx))
			if err != nil {
				return getBulkOut{}, err
			}
			return getBulkOut{BulkStatus: status}.linked(ctx, a, s)
		}),
	}
}

// linked adds the address of the tar file of a bulk export that is not running.
func (out getBulkOut) linked(ctx context.Context, a *exports.Account, s Settings) (getBulkOut, error) {
	if s.Files == nil {
		return out, nil
	}
	offer, ok, err := a.OfferBulk(ctx, out.BulkSummary)
	if err != nil {
		return getBulkOut{}, err
	}
	link, sentence, err := s.fileLink(ctx, a, offer, ok)
	if err != nil {
		return getBulkOut{}, err
	}
	out.Summary += sentence
	if out.file = link; link != nil {
		out.FileURL = link.url
	}
	out.Next = strings.TrimSpace(strings.TrimSuffix(out.Next, exports.FilesInFolder)) // it is on the server
	return out, nil
}
