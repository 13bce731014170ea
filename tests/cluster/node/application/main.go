// The application of the tests, in one image with the enclave's program.
//
//	application sign BOOK SHARE WALLET CLIENTS
//	application look FILE…
//
// `sign` asks for signatures without a pause and writes into BOOK, a file of the pod's name, what it holds and what failed. Told to
// end it goes on for a while, as a server does that still has clients, and finishes what it began.
//
// `look` says of each file whether this user can read it.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	switch os.Args[1] {
	case "sign":
		sign(os.Args[2], os.Args[3], os.Args[4], os.Args[5])
	case "look":
		for _, path := range os.Args[2:] {
			fmt.Println(path + ": " + look(path))
		}
	default:
		panic(os.Args[1])
	}
}

func sign(book, share, wallet, clients string) {
	// Before anything else: what is told early is heard as well.
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM)
	pod := must(os.Hostname())
	file := must(os.OpenFile(filepath.Join(book, pod), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644))
	// A container that is started anew is told apart.
	line := func(word, text string) {
		must(file.WriteString(word + " " + strings.ReplaceAll(strings.TrimSpace(text), "\n", " | ") + "\n"))
	}
	line("began", pod)

	var ending atomic.Bool
	var working sync.WaitGroup
	for client := range must(strconv.Atoi(clients)) {
		working.Add(1)
		go func() {
			defer working.Done()
			for number := 0; !ending.Load(); number++ {
				// Each message is another, and so is each signature.
				message := fmt.Sprintf("%s %d %d %d", pod, os.Getpid(), client, number) + time.Now().String()
				command := exec.Command("/countersign", "sign", "--socket", "/run/countersign/enclave.sock", "--share-id", share,
					"--wallet-id", wallet, "--message", message)
				// A signal to the group is not for it.
				command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
				if said, err := command.CombinedOutput(); err == nil {
					line("held", string(said))
				} else {
					line("failed", err.Error()+": "+string(said))
					time.Sleep(100 * time.Millisecond)
				}
			}
		}()
	}
	<-told
	line("told", pod)
	time.Sleep(2 * time.Second)
	ending.Store(true)
	working.Wait()
	line("ended", pod)
}

// A directory is read when its names are; of a process's memory that is where it can be opened.
func look(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return err.(*os.PathError).Err.Error()
	}
	if _, err := file.Readdirnames(1); err == nil {
		return "read"
	}
	if strings.HasSuffix(path, "/mem") {
		return "opened"
	}
	if _, err := file.Read(make([]byte, 1)); err != nil && err.Error() != "EOF" {
		return err.(*os.PathError).Err.Error()
	}
	return "read"
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
