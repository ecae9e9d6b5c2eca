// Command ferretdb is FerretDB on its SQLite backend, with atomic writes.
//
// FerretDB 1.x updates and deletes in two steps: it reads the documents that match the filter and
// then writes them by their _id, even if they have changed in between. So two updates that name the
// same version both succeed. MongoDB checks and writes a document in one step, and a compare-and-set
// relies on that. So this program stands in front of FerretDB and lets one write pass at a time, from
// its first byte until FerretDB has replied; reads pass at once.
//
// Nothing of FerretDB itself is changed. It is for tests and trials on one machine.
package main

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"io"
	"log"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/FerretDB/FerretDB/ferretdb"
)

const (
	headerSize = 16       // of every message: length, two ids, opcode; each a little-endian int32
	largest    = 48 << 20 // MongoDB's limit
	opMsg      = 2013
	nameAt     = headerSize + 4 + 1 + 4 + 1 // flags, kind of section, document's length, first type
)

// These change nothing. All other commands count as writes.
var reads = map[string]bool{
	"buildInfo": true, "find": true, "getMore": true, "hello": true, "isMaster": true,
	"ismaster": true, "killCursors": true, "listIndexes": true, "ping": true,
}

// writing is held by the write in progress.
var writing sync.Mutex

func main() {
	listen := flag.String("listen", "127.0.0.1:27017", "address to listen on")
	data := flag.String("data", ".", "folder of the databases")
	flag.Parse()

	// Only errors are of interest in tests.
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()

	server, err := ferretdb.New(&ferretdb.Config{
		Listener:  ferretdb.ListenerConfig{TCP: "127.0.0.1:0"},
		Handler:   "sqlite",
		SQLiteURL: "file:" + *data + "/",
	})
	if err != nil {
		log.Fatal(err)
	}
	front, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		<-ctx.Done()
		front.Close()
	}()
	done := make(chan error)
	go func() { done <- server.Run(ctx) }()

	address, err := url.Parse(server.MongoDBURI())
	if err != nil {
		log.Fatal(err)
	}
	for {
		client, err := front.Accept()
		if err != nil {
			break
		}
		go serve(client, address.Host)
	}
	if err := <-done; err != nil {
		log.Fatal(err)
	}
}

// serve carries one client's messages to FerretDB and back, until either closes the connection.
func serve(client net.Conn, address string) {
	defer client.Close()
	server, err := net.Dial("tcp", address)
	if err != nil {
		log.Print(err)
		return
	}
	defer server.Close()
	for {
		request, err := read(client)
		if err != nil {
			return
		}
		reply, err := ask(server, request)
		if err != nil {
			return
		}
		if _, err := client.Write(reply); err != nil {
			return
		}
	}
}

// ask sends a request and returns its reply; a write waits until no other is in progress.
func ask(server net.Conn, request []byte) ([]byte, error) {
	if !reads[command(request)] {
		writing.Lock()
		defer writing.Unlock()
	}
	if _, err := server.Write(request); err != nil {
		return nil, err
	}
	return read(server)
}

// command is the name of a request's command; empty if it is of an older form than OP_MSG.
func command(request []byte) string {
	if len(request) <= nameAt || binary.LittleEndian.Uint32(request[12:]) != opMsg {
		return ""
	}
	for end := nameAt; end < len(request); end++ {
		if request[end] == 0 {
			return string(request[nameAt:end])
		}
	}
	return ""
}

// read returns the next message, with its header.
func read(connection net.Conn) ([]byte, error) {
	var header [headerSize]byte
	if _, err := io.ReadFull(connection, header[:]); err != nil {
		return nil, err
	}
	length := binary.LittleEndian.Uint32(header[:])
	if length < headerSize || length > largest {
		return nil, errors.New("no message of MongoDB's")
	}
	message := make([]byte, length)
	copy(message, header[:])
	_, err := io.ReadFull(connection, message[headerSize:])
	return message, err
}
