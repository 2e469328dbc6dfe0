// The hello of all peers as a CGI program with net/http/cgi.
package main

import (
	"io"
	"log"
	"net/http"
	"net/http/cgi"
)

func main() {
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		io.WriteString(w, "hello, world\n")
	})
	if err := cgi.Serve(handler); err != nil {
		log.Fatal(err)
	}
}
