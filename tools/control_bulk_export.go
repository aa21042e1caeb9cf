package tools

import (
	"context"

	"fullstory-export-mcp/bulk"
)

type controlBulkIn struct {
	BulkID string      `json:"bulk_id" jsonschema:"minLength=1,maxLength=200" jsonschema_description:"Id or name."`
	Action bulk.Action `json:"action" jsonschema:"enum=pause,enum=resume,enum=cancel,enum=retry_failed" jsonschema_description:"cancel also cancels at Fullstory and cannot be taken back; stored files stay. retry_failed also exports again what is missing on disk."`
}

type controlBulkOut struct {
	bulkSummary `schema:"brief"` // get_bulk_export says what it holds
}

func controlBulkExport(account func(context.Context) (*Account, error)) Tool[controlBulkIn, controlBulkOut] {
	return Tool[controlBulkIn, controlBulkOut]{
		Name:        "control_bulk_export",
		Title:       "Control a bulk export",
		Description: "Pauses, resumes or cancels a bulk export, or tries its failed chunks again. Answers as get_bulk_export does.",
		Effect:      Destroy,
		Call: func(ctx context.Context, in controlBulkIn) (controlBulkOut, error) {
			a, err := account(ctx)
			if err != nil {
				return controlBulkOut{}, err
			}
			engine, err := a.Engine(ctx)
			if err != nil {
				return controlBulkOut{}, err
			}
			b, err := engine.Control(ctx, in.BulkID, in.Action)
			if err != nil {
				return controlBulkOut{}, &unknownBulk{id: in.BulkID, err: err}
			}
			s, err := engine.StatusOf(ctx, b)
			if err != nil {
				return controlBulkOut{}, err
			}
			return controlBulkOut{summarize(engine, s)}, nil
		},
	}
}
