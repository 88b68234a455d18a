package transfer

import "context"

// pass makes one request of an action, when the gate lets it through. It moves so many bytes.
func (r *run) pass(ctx context.Context, a Action, bytes int64, request func() error) error {
	if err := r.gate.Enter(ctx); err != nil {
		return err
	}
	err := request()
	if err != nil {
		bytes = 0
	}
	r.gate.Leave(bytes)
	r.o.Meter.DoneBytes.Add(bytes)
	if a.moved != nil {
		a.moved.Add(bytes)
	}
	return err
}
