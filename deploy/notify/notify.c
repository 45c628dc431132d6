/* sd_notify(3) for Node: one datagram to $NOTIFY_SOCKET, without a process and without libsystemd.
 * Node has no AF_UNIX datagram socket of its own. N-API 1, so one build serves every Node from 10 on. */
#define _GNU_SOURCE
#include <errno.h>
#include <node_api.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MESSAGE_MAX 2048

static napi_value fail(napi_env env, const char *what) {
  char text[160];
  snprintf(text, sizeof text, "%s: %s", what, strerror(errno));
  napi_throw_error(env, "notify", text);
  return NULL;
}

/* send(socket: string, message: string): void */
static napi_value send_message(napi_env env, napi_callback_info info) {
  size_t argc = 2, path_len = 0, len = 0;
  napi_value argv[2];
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  char path[sizeof to.sun_path + 1], message[MESSAGE_MAX];
  if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok || argc < 2 ||
      napi_get_value_string_utf8(env, argv[0], path, sizeof path, &path_len) != napi_ok ||
      napi_get_value_string_utf8(env, argv[1], message, sizeof message, &len) != napi_ok) {
    napi_throw_type_error(env, "notify", "send(socket: string, message: string)");
    return NULL;
  }
  if (path_len == 0 || path_len >= sizeof to.sun_path || (path[0] != '/' && path[0] != '@')) {
    napi_throw_type_error(env, "notify", "the socket is no absolute path and no @name");
    return NULL;
  }
  memcpy(to.sun_path, path, path_len);
  /* An abstract name begins with a zero byte; its length counts, so no zero may follow it. */
  if (path[0] == '@') to.sun_path[0] = 0;
  socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path_len);
  /* Never waits: a full queue of the service manager must not hold up the audio. */
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return fail(env, "socket");
  ssize_t sent = sendto(fd, message, len, MSG_NOSIGNAL, (struct sockaddr *)&to, size);
  int saved = errno;
  close(fd);
  errno = saved;
  if (sent < 0) return fail(env, "sendto");
  return NULL;
}

NAPI_MODULE_INIT() {
  napi_value function;
  if (napi_create_function(env, "send", NAPI_AUTO_LENGTH, send_message, NULL, &function) != napi_ok ||
      napi_set_named_property(env, exports, "send", function) != napi_ok) return NULL;
  return exports;
}
