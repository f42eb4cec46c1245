// Package redistest starts real redis-server processes for tests: one, one with replicas and sentinels, or a cluster,
// with TLS, ACL users, an append-only file. They listen on free ports of the loopback interface, keep what they have
// in the test's temporary folder, and end with the test. [Client] speaks to them with nothing but the standard library.
//
// Where there is no redis-server a test that starts one is skipped; with CI=true it fails.
package redistest
