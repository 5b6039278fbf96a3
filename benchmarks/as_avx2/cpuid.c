/* Answers the CPUID instruction, by which libraries choose their kernels, as if this processor had AVX2 and nothing
 * later: with the bits of AVX-512, AMX, VNNI and half-precision arithmetic cleared. Clock, caches and cores stay what
 * they are: it shows what missing instructions cost, not how fast another machine is.
 *
 * Linux can make CPUID fault (arch_prctl(2), ARCH_SET_CPUID) where the processor allows it (`cpuid_fault` in
 * /proc/cpuinfo). Then any command runs so:
 *
 *     gcc -O2 -shared -fPIC -o as_avx2.so benchmarks/as_avx2/cpuid.c
 *     LD_PRELOAD=$PWD/as_avx2.so make repro
 *
 * Elsewhere sitecustomize.py puts an instruction that none is, of the same length, in its place (-DREPLACED).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define BIT(n) (1u << (n))

enum { ARCH_SET_CPUID = 0x1012, FORBID = 0, ALLOW = 1 };

#ifdef REPLACED
/* UD2 */
enum { FAULT = SIGILL, SECOND_BYTE = 0x0b, CODE = ILL_ILLOPN };
#else
enum { FAULT = SIGSEGV, SECOND_BYTE = 0xa2, CODE = SI_KERNEL };
#endif

/* Who asks for the signal after us (torch, faulthandler) gets the faults that are not CPUID's. */
static struct sigaction others;
static int (*real_sigaction)(int, const struct sigaction *, struct sigaction *);

static void hide(unsigned leaf, unsigned part, unsigned *eax, unsigned *ebx, unsigned *ecx, unsigned *edx) {
    if (leaf == 7 && part == 0) {
        /* AVX-512 F, DQ, IFMA, PF, ER, CD, BW, VL */
        *ebx &= ~(BIT(16) | BIT(17) | BIT(21) | BIT(26) | BIT(27) | BIT(28) | BIT(30) | BIT(31));
        /* AVX-512 VBMI, VBMI2, VNNI, BITALG, VPOPCNTDQ */
        *ecx &= ~(BIT(1) | BIT(6) | BIT(11) | BIT(12) | BIT(14));
        /* AVX-512 4VNNIW, 4FMAPS, VP2INTERSECT, FP16; AMX-BF16, -TILE, -INT8 */
        *edx &= ~(BIT(2) | BIT(3) | BIT(8) | BIT(22) | BIT(23) | BIT(24) | BIT(25));
    } else if (leaf == 7 && part == 1) {
        /* AVX-VNNI, AVX-512 BF16, AMX-FP16, AVX-IFMA */
        *eax &= ~(BIT(4) | BIT(5) | BIT(21) | BIT(23));
        /* AVX-VNNI-INT8, AVX-NE-CONVERT, AMX-COMPLEX, AVX-VNNI-INT16, AVX10 */
        *edx &= ~(BIT(4) | BIT(5) | BIT(8) | BIT(10) | BIT(19));
    } else if (leaf == 13 && part == 0) {
        /* Registers that the system saves: those of AVX-512, of AMX */
        *eax &= ~(BIT(5) | BIT(6) | BIT(7) | BIT(17) | BIT(18));
    }
}

static void allow(int how) {
#ifndef REPLACED
    syscall(SYS_arch_prctl, ARCH_SET_CPUID, how);
#endif
}

static void on_fault(int number, siginfo_t *info, void *context) {
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    const unsigned char *instruction = (const unsigned char *)registers[REG_RIP];
    if (info->si_code == CODE && instruction[0] == 0x0f && instruction[1] == SECOND_BYTE) {
        unsigned leaf = registers[REG_RAX], part = registers[REG_RCX], eax, ebx, ecx, edx;
        allow(ALLOW);
        __asm__ volatile("cpuid" : "=a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx) : "a"(leaf), "c"(part));
        allow(FORBID);
        hide(leaf, part, &eax, &ebx, &ecx, &edx);
        registers[REG_RAX] = eax, registers[REG_RBX] = ebx, registers[REG_RCX] = ecx, registers[REG_RDX] = edx;
        registers[REG_RIP] += 2;
    } else if (others.sa_flags & SA_SIGINFO) {
        others.sa_sigaction(number, info, context);
    } else if (others.sa_handler != SIG_DFL && others.sa_handler != SIG_IGN) {
        others.sa_handler(number);
    } else {
        struct sigaction fatal = {.sa_handler = SIG_DFL};
        real_sigaction(FAULT, &fatal, NULL);
    }
}

int sigaction(int number, const struct sigaction *new, struct sigaction *old) {
    if (number != FAULT) return real_sigaction(number, new, old);
    if (old) *old = others;
    if (new) others = *new;
    return 0;
}

sighandler_t signal(int number, sighandler_t handler) {
    struct sigaction new = {.sa_handler = handler, .sa_flags = SA_RESTART}, old;
    return sigaction(number, &new, &old) ? SIG_ERR : old.sa_handler;
}

__attribute__((constructor)) static void begin(void) {
    real_sigaction = dlsym(RTLD_NEXT, "sigaction");
    struct sigaction ours = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK};
    real_sigaction(FAULT, &ours, NULL);
#ifndef REPLACED
    if (syscall(SYS_arch_prctl, ARCH_SET_CPUID, FORBID)) {
        perror("as_avx2: this processor cannot make CPUID fault");
        exit(1);
    }
#endif
}
