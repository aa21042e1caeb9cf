package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/mark3labs/mcp-go/mcp"
	"golang.org/x/sync/errgroup"
)

const (
	// lastBatchVersion is the last protocol version that has batches: arrays of messages
	// that are answered with an array of answers.
	lastBatchVersion = "2025-03-26"
	// mostBatch is how many messages a batch may have.
	mostBatch = 100
	// batchCalls is how many requests of a batch are answered at once.
	batchCalls = 16
)

// isBatch reports whether a JSON text is an array.
func isBatch(raw []byte) bool { return firstByte(raw) == '[' }

// splitBatch returns the messages of a batch, at least one.
func splitBatch(raw []byte) ([]json.RawMessage, *rejection) {
	var batch []json.RawMessage
	switch {
	case json.Unmarshal(raw, &batch) != nil:
		return nil, notJSON()
	case len(batch) == 0:
		return nil, &rejection{codeInvalid, "The batch is empty. Send at least one message."}
	}
	return batch, nil
}

// checkBatch returns why a batch cannot be accepted in a protocol version, which is ""
// while it is unknown, or nil if it can.
func checkBatch(batch []json.RawMessage, version string) *rejection {
	switch {
	case version == "" || version > lastBatchVersion:
		return &rejection{codeInvalid, "Batch requests are not supported. Send one message at a time."}
	case len(batch) > mostBatch:
		return &rejection{codeInvalid, fmt.Sprintf("The batch has %d messages. Send at most %d at once.",
			len(batch), mostBatch)}
	}
	return nil
}

// member is one message of a batch.
type member struct {
	message  message
	raw      json.RawMessage
	rejected *rejection // why it could not be accepted; nil if it was
}

// members returns the messages of a batch that have to be handled, and the ids of the
// requests that others of its messages cancel. Responses have no effect.
func members(batch []json.RawMessage) (handled []member, cancelled []json.RawMessage) {
	for _, raw := range batch {
		m, rejected := parseMessage(raw)
		switch {
		case rejected != nil:
		case m.isResponse():
			continue
		case m.isCancel():
			cancelled = append(cancelled, m.cancelled)
			continue
		case m.isInitialize(), m.isListen(), mcp.IsModernProtocol(m.version):
			rejected = &rejection{codeInvalid, m.method + " cannot be part of a batch here. Send it alone."}
		}
		handled = append(handled, member{m, raw, rejected})
	}
	return handled, cancelled
}

// requests returns how many of the members need an answer that may take time.
func requests(handled []member) (n int) {
	for _, m := range handled {
		if m.rejected == nil && m.message.id != nil {
			n++
		}
	}
	return n
}

// batch is the part of a call that is a batch.
type batch struct {
	calls    []*call // one for each member
	parallel int     // how many of them run at once
}

// memberOutlet is the outlet of one member: notifications go out at once, and the
// answer with those of the other members.
type memberOutlet struct {
	batch  outlet
	answer json.RawMessage // nil for a notification
}

func (o *memberOutlet) add(data []byte, last bool) {
	if last {
		o.answer = data
		return
	}
	o.batch.add(data, false)
}

// answerBatch answers the members of c. It returns an array of their answers, in the
// order of the members, or nil if there are none. Even a cancelled member is answered.
func (k *core) answerBatch(ctx context.Context, c *call) json.RawMessage {
	outs := make([]memberOutlet, len(c.batch.calls))
	var running errgroup.Group
	running.SetLimit(max(1, c.batch.parallel))
	for i, one := range c.batch.calls {
		outs[i].batch = c.out
		one.out, one.final, one.mute = &outs[i], true, true
		answer := k.start(ctx, one)
		running.Go(func() error {
			answer()
			return nil
		})
	}
	running.Wait()
	var answers [][]byte
	for _, o := range outs {
		if o.answer != nil {
			answers = append(answers, o.answer)
		}
	}
	if answers == nil {
		return nil
	}
	return fmt.Appendf(nil, "[%s]", bytes.Join(answers, []byte(",")))
}
