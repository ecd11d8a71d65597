// A broadcast as the documentation of Socket.IO has it: every client hears `io.emit`; a POST says what.
const { createServer } = require("node:http");
const { Server } = require("socket.io");

const server = createServer((request, response) => {
  if (request.method !== "POST") return;
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    io.emit("news", JSON.parse(Buffer.concat(parts)));
    response.writeHead(200, { "Content-Length": 0 }).end();
  });
});
const io = new Server(server, { transports: ["websocket"], pingInterval: 3_600_000, perMessageDeflate: false });
server.listen(Number(process.argv[2]), "127.0.0.1", 4096);
