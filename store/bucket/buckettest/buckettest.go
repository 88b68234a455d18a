// Package buckettest provides what tests of code that uses buckets need: a real S3 server, a
// store in memory that fails on demand, a proxy that counts and breaks requests, and the suite
// that every [bucket.Store] must pass.
//
// Which one to take: [Memory] for logic, for keys that file systems cannot hold and for each
// kind of failure; [Start] for what must work against a server that checks signatures and
// checksums; [Recorder] before such a server to count requests or to lose answers.
//
// All of it but [Start] and [Conformance] also works outside tests.
package buckettest
