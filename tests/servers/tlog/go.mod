module countersign.test/servers/tlog

go 1.25.3

require golang.org/x/mod v0.36.0
