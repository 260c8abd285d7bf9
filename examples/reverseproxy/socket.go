package main

import (
	"bufio"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// This is the part of the WebSocket protocol (RFC 6455) that the example needs:
// text frames of up to 125 bytes.

// accept returns the value that proves the handshake, section 4.2.2.
func accept(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// echo is the server end. It sends back every message until the client
// disconnects.
func echo(w http.ResponseWriter, r *http.Request) {
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		w.WriteHeader(http.StatusUpgradeRequired)
		return
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer conn.Close()
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Accept: %s\r\n\r\n", accept(r.Header.Get("Sec-WebSocket-Key")))
	for {
		message, err := readFrame(rw.Reader)
		if err != nil {
			return
		}
		if _, err := conn.Write(append([]byte{0x81, byte(len(message))}, message...)); err != nil {
			return
		}
	}
}

// dial opens a WebSocket with an ordinary http.Client.
func dial(client *http.Client, url string) (io.ReadWriteCloser, error) {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	key := base64.StdEncoding.EncodeToString([]byte(rand.Text())[:16])
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "websocket")
	req.Header.Set("Sec-WebSocket-Version", "13")
	req.Header.Set("Sec-WebSocket-Key", key)
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	conn, ok := resp.Body.(io.ReadWriteCloser)
	if resp.StatusCode != http.StatusSwitchingProtocols || !ok || resp.Header.Get("Sec-WebSocket-Accept") != accept(key) {
		resp.Body.Close()
		return nil, fmt.Errorf("got %s, want a WebSocket", resp.Status)
	}
	return conn, nil
}

// say sends a message and returns the answer.
func say(conn io.ReadWriter, message string) (string, error) {
	if len(message) > 125 {
		return "", errors.New("message over 125 bytes")
	}
	frame := []byte{0x81, 0x80 | byte(len(message)), 0, 0, 0, 0}
	rand.Read(frame[2:6])
	for i := range len(message) {
		frame = append(frame, message[i]^frame[2+i%4])
	}
	if _, err := conn.Write(frame); err != nil {
		return "", err
	}
	answer, err := readFrame(bufio.NewReader(conn))
	return string(answer), err
}

// readFrame reads a text frame, masked or not (section 5.2).
func readFrame(r *bufio.Reader) ([]byte, error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	length := int(head[1] & 0x7f)
	if head[0] != 0x81 || length > 125 {
		return nil, errors.New("not a short text frame")
	}
	var mask [4]byte
	if head[1]&0x80 != 0 {
		if _, err := io.ReadFull(r, mask[:]); err != nil {
			return nil, err
		}
	}
	message := make([]byte, length)
	_, err := io.ReadFull(r, message)
	for i := range message {
		message[i] ^= mask[i%4]
	}
	return message, err
}
