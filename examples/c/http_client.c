/* Calls a method through the agent's HTTP port: http_client PORT SERVICE METHOD ARGUMENTS [GROUP]. Arguments: a JSON array.
   It asks in HTTP/1.0, so that the answer is never chunked and the connection ends behind it. gcc -o http_client http_client.c */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

static int end(const char *message) { fprintf(stderr, "%s\n", message); return 1; }

int main(int count, char **args) {
    if (count < 5) return end("usage: http_client PORT SERVICE METHOD ARGUMENTS [GROUP]");
    struct sockaddr_in agent = {.sin_family = AF_INET, .sin_port = htons(atoi(args[1]))};
    agent.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct timeval limit = {.tv_sec = 5};
    int connection = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (connect(connection, (struct sockaddr *)&agent, sizeof agent) != 0) return end("the agent cannot be reached");
    dprintf(connection, "POST /v1/call/%s/%s%s%s HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            "Content-Length: %zu\r\n\r\n%s", args[2], args[3], count > 5 ? "?group=" : "", count > 5 ? args[5] : "",
            strlen(args[4]), args[4]);

    FILE *answer = fdopen(connection, "r");
    char text[4096];
    int status;
    long left = -1; /* of the body */
    if (!fgets(text, sizeof text, answer) || sscanf(text, "HTTP/%*s %d", &status) != 1) return end("no answer");
    while (fgets(text, sizeof text, answer) && strcmp(text, "\r\n") != 0)
        if (strncasecmp(text, "content-length:", 15) == 0) left = atol(text + 15);
    FILE *out = status == 200 ? stdout : stderr; /* the value, or a problem document: RFC 9457 */
    for (size_t size; left > 0 && (size = fread(text, 1, left < 4096 ? left : 4096, answer)) > 0; left -= size)
        fwrite(text, 1, size, out);
    fputc('\n', out);
    if (left != 0) return end("the answer is not whole");
    return status == 200 ? 0 : 1;
}
