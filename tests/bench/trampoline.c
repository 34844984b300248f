/* What nothing can be faster than: static programs without libc, in three kinds.
 *
 *   default             ends with status 0
 *   -DPROGRAM="..."     becomes PROGRAM, with its own arguments and environment
 *   -DSOCKET="..."      asks whoever listens there first: 200 bytes out, the answer back
 */

#include <stddef.h>

#if defined(__x86_64__)
enum { WRITE = 1, READ = 0, SOCKET_CALL = 41, CONNECT = 42, EXECVE = 59, EXIT = 60 };
static long call(long n, long a, long b, long c) {
    long r;
    __asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return r;
}
__asm__(".globl _start\n_start:\n mov %rsp, %rdi\n and $-16, %rsp\n call begin\n");
#elif defined(__aarch64__)
enum { WRITE = 64, READ = 63, SOCKET_CALL = 198, CONNECT = 203, EXECVE = 221, EXIT = 93 };
static long call(long n, long a, long b, long c) {
    register long x8 __asm__("x8") = n, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
    return x0;
}
__asm__(".globl _start\n_start:\n mov x0, sp\n bl begin\n");
#endif

__attribute__((used)) void begin(long *stack) {
#ifdef SOCKET
    struct { unsigned short family; char path[108]; } address = { 1, SOCKET };
    static char bytes[512];
    long fd = call(SOCKET_CALL, 1, 1, 0);
    if (call(CONNECT, fd, (long)&address, sizeof address) < 0 || call(WRITE, fd, (long)bytes, 200) != 200 ||
        call(READ, fd, (long)bytes, sizeof bytes) <= 0)
        call(EXIT, 1, 0, 0);
#endif
#ifdef PROGRAM
    call(EXECVE, (long)PROGRAM, (long)(stack + 1), (long)(stack + *stack + 2));
    call(EXIT, 2, 0, 0);
#endif
    call(EXIT, 0, 0, 0);
}
