/* binds.c - who may have an address that another socket has: Microsoft's table "Sharing Transport Addresses"
 * (rule 14).
 *
 * Wine asks Linux, which refuses a wildcard address beside a specific one and knows no exclusive use. So what
 * the table refuses is refused here; and what it grants and Linux refuses is bound to another port, which is
 * kept from whoever asks for the socket's address, and is the one that is connected to.
 * Owner: the records of the sockets are the table of who has what. Threads: any, under layer_lock.
 */
#include "layer.h"

enum answer { GRANTED, IN_USE, DENIED };
enum sharing { SHARE_DEFAULT, SHARE_REUSE, SHARE_EXCLUSIVE };

/* [second: sharing, specific?][first: sharing, specific?]. "CHECK" is a grant to the same user. */
static const unsigned char answers[6][6] = {
    {IN_USE, GRANTED, IN_USE, GRANTED, IN_USE, GRANTED},
    {GRANTED, IN_USE, GRANTED, DENIED, DENIED, IN_USE},
    {DENIED, GRANTED, GRANTED, GRANTED, DENIED, GRANTED},
    {GRANTED, DENIED, GRANTED, GRANTED, DENIED, DENIED},
    {IN_USE, IN_USE, IN_USE, IN_USE, IN_USE, IN_USE},
    {GRANTED, IN_USE, GRANTED, IN_USE, DENIED, IN_USE},
};

int address_port(const struct sockaddr *address)
{
    return ((const struct sockaddr_in *)address)->sin_port;     /* in the same place for both families */
}

int address_is(const struct sockaddr *address, int loopback)
{
    const IN6_ADDR *ipv6 = &((const struct sockaddr_in6 *)address)->sin6_addr;
    ULONG ipv4 = ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr);
    if (address->sa_family == AF_INET)
        return loopback ? ipv4 >> 24 == 127 : ipv4 == 0;
    return loopback ? IN6_IS_ADDR_LOOPBACK(ipv6) : IN6_IS_ADDR_UNSPECIFIED(ipv6);
}

static int same_address(const struct sockaddr *one, const struct sockaddr *other)
{
    if (one->sa_family != other->sa_family)
        return 0;
    if (one->sa_family == AF_INET)
        return ((const struct sockaddr_in *)one)->sin_addr.s_addr
            == ((const struct sockaddr_in *)other)->sin_addr.s_addr;
    return !memcmp(&((const struct sockaddr_in6 *)one)->sin6_addr,
                   &((const struct sockaddr_in6 *)other)->sin6_addr, 16);
}

static int row(const struct sock *sock, const struct sockaddr *address)
{
    enum sharing sharing = sock->exclusive ? SHARE_EXCLUSIVE : sock->reuse ? SHARE_REUSE : SHARE_DEFAULT;
    return 2 * (int)sharing + !address_is(address, 0);
}

/* What the table says of this address for this socket. Connections do not count: only what was bound by name
 * does. */
static enum answer ask(struct sock *sock, const struct sockaddr *address)
{
    struct sock *other = NULL;
    enum answer answer = GRANTED;
    while (answer == GRANTED && (other = sock_next(other))) {
        const struct sockaddr *has = (const struct sockaddr *)&other->local;
        if (!other->live || other == sock || address_port(has) != address_port(address)
            || has->sa_family != address->sa_family)
            continue;
        if (same_address(has, address) || address_is(has, 0) || address_is(address, 0))
            answer = answers[row(sock, address)][row(other, has)];
    }
    return answer;
}

int bind_played(struct sock *sock, const struct sockaddr *address, int length)
{
    struct sockaddr_storage free;
    enum answer answer = address_port(address) && play(PLAY_bind) && !sock->bound ? ask(sock,
                                                                                        address) : GRANTED;
    int result = 0, size = sizeof sock->local, error;
    if (answer != GRANTED) {
        WSASetLastError(answer == IN_USE ? WSAEADDRINUSE : WSAEACCES);
        return SOCKET_ERROR;
    }
    result = bind(sock->handle, address, length);
    error = result ? WSAGetLastError() : 0;
    if ((error == WSAEADDRINUSE || error == WSAEACCES) && play(PLAY_bind) && listener_at(address)) {
        memset(&free, 0, sizeof free);
        memcpy(&free, address, length);
        ((struct sockaddr_in *)&free)->sin_port = 0;
        result = bind(sock->handle, (struct sockaddr *)&free, length);
        sock->played_port = result ? 0 : address_port(address);
    }
    if (result)
        return result;
    sock->bound = 1;
    getsockname(sock->handle, (struct sockaddr *)&sock->local, &size);
    if (sock->played_port)
        ((struct sockaddr_in *)&sock->local)->sin_port = (u_short)sock->played_port;
    return 0;
}

/* The listening socket of this process that gets connections to the address: the one bound to just that, or
 * to any. */
struct sock *listener_at(const struct sockaddr *address)
{
    struct sock *sock = NULL, *best = NULL;
    while ((sock = sock_next(sock))) {
        const struct sockaddr *has = (const struct sockaddr *)&sock->local;
        if (!sock->live || !sock->listening || has->sa_family != address->sa_family
            || address_port(has) != address_port(address))
            continue;
        if (same_address(has, address))
            return sock;
        if (address_is(has, 0) || address_is(address, 0))
            best = sock;
    }
    return best;
}

/* Before a connect: the port that is really listened on. */
void address_map(struct sockaddr *address)
{
    struct sock *sock = listener_at(address);
    struct sockaddr_storage real;
    int size = sizeof real;
    if (sock && sock->played_port && !getsockname(sock->handle, (struct sockaddr *)&real, &size))
        ((struct sockaddr_in *)address)->sin_port = (u_short)address_port((struct sockaddr *)&real);
}
