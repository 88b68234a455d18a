// Package pace says how many transfers run at once.
//
// A [Gate] has a number of places, its limit. A transfer enters, waiting for a place if there
// is none, and leaves; places are given out in the order in which they were asked for. The
// limit of a [Fixed] gate stays as it is. That of an [Adaptive] one is found by trial.
//
// # How the limit is found
//
// A trial gives out more places, or fewer, and compares the throughput with what it was. The
// better limit n is the one for which
//
//	throughput / n^0.1
//
// is greater: 10 % more places must bring 1 % more throughput, else the fewer do. This is hill
// climbing on a utility, as in PCC (Dong et al., NSDI 2015) and, for files in flight, in Falcon
// (Arifuzzaman and Arslan, SC 2021). AIMD alone, as in TCP, grows until something is lost; but
// most servers never say SlowDown, they queue. TCP Vegas, and the gradient limits that follow
// it, see the queue in the latency, for which requests have to be alike; here one sends a byte
// and the next 8 MiB, and the latency tells mostly that. What is wanted is throughput, so that
// is compared.
//
// From AIMD comes the answer to SlowDown. A trial of more places that meets it has failed.
// Otherwise the limit is cut to 70 % of the places that were taken, the share of CUBIC
// (RFC 9438): half would cost more, each time that trials have found the edge again. It is one
// cut for a sample, however many requests were turned away, and the next is not made before
// what was in flight at the last is through. Trials then raise the limit again.
//
// The first trials double the limit, as in TCP's slow start, until one fails. Later ones go a
// quarter up, or a fifth down. One that succeeds is followed at once by a longer one the same
// way, up to half as many places again, unless the server has ever said SlowDown. One that fails
// is followed by one the other way, after a wait which grows with each failure up to 16 samples,
// so that a limit that is right is mostly left alone. If the throughput changes much by itself,
// the wait is over.
//
// # What a sample is
//
// Throughput is counted in bytes, and each finished transfer counts for 1 MiB more. Without
// that, many small files would weigh nothing; with it, a place does about the same work per
// second on either: 1 MiB is what a connection could have moved in the time that a request
// takes, some 20 MiB/s for 50 ms.
//
// A sample ends when 250 ms have passed and work was reported twice for each place. Transfers
// that began together end together, in waves as long as the latency. Two reports for each place
// make two waves, so that it matters little where a sample cuts them; and 250 ms are long
// against the pauses of a scheduler. Time in which nothing is in flight does not count. After
// SlowDown, the 250 ms are enough.
//
// After the limit has changed, a sample begins when as much work was reported as was in flight,
// and no more is in flight than the limit: what comes before was done under the old one.
//
// Samples are noisy. A trial takes one if its outcome is clear and at most four if it is not.
// Samples in which the gate was not full most of the time say nothing about the limit: they end
// a trial, and begin none.
//
// There is no goroutine and no timer: samples end within Leave and Moved.
package pace
