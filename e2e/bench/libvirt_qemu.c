/* What libvirt's QEMU driver needs for the guests whose documents' paths stand on standard input, one a line. Each mode prints
 * nanoseconds, one number a line.
 *
 *   convert       prints the paths of those that become a command line
 *   native ROUNDS to make the command lines of all, in the fastest round
 *   define ROUNDS to define one, a line for each document and round
 *   start ROUNDS  to start the first with its CPUs stopped, and to destroy it: two lines for each round
 *   list ROUNDS   to list all domains, and to get the document of each, in the fastest round
 *
 * and these print nothing:
 *
 *   keep          defines all
 *   run           defines all, and starts them with their CPUs stopped
 *   remove        ends and removes all domains that there are
 *   probe ARCH... asks for what the emulators can do whose paths are given, each with its architecture
 *
 * The library's own declarations are given here, so that only the library itself has to be installed. */
#include "texts.h"

void *virConnectOpen(const char *uri);
void virSetErrorFunc(void *data, void (*handler)(void *data, void *error));
char *virConnectGetDomainCapabilities(void *connection, const char *emulator, const char *arch, const char *machine,
                                      const char *type, unsigned flags);
char *virConnectDomainXMLToNative(void *connection, const char *format, const char *xml, unsigned flags);
void *virDomainDefineXML(void *connection, const char *xml);
char *virDomainGetXMLDesc(void *domain, unsigned flags);
int virDomainCreateWithFlags(void *domain, unsigned flags);
int virDomainDestroy(void *domain);
int virDomainUndefineFlags(void *domain, unsigned flags);
int virDomainFree(void *domain);
int virConnectListAllDomains(void *connection, void ***domains, unsigned flags);
const char *virGetLastErrorMessage(void);

enum { PAUSED = 1, NVRAM = 4 };

static void *must(void *made, const char *what) {
    if (made) return made;
    fprintf(stderr, "%s: %s\n", what, virGetLastErrorMessage());
    exit(1);
}

static void undefine(void *domain) {
    virDomainUndefineFlags(domain, NVRAM);
    virDomainFree(domain);
}

int main(int argc, char **argv) {
    read_texts();
    virSetErrorFunc(NULL, silent);
    void *connection = must(virConnectOpen("qemu:///system"), "connect");
    if (argc < 2) return 1;
    const char *mode = argv[1];
    int rounds = argc > 2 ? atoi(argv[2]) : 1;
    long long best = 0;
    void **domains = NULL;
    if (!strcmp(mode, "keep") || !strcmp(mode, "run")) {
        for (int at = 0; at < count; at++) {
            void *domain = must(virDomainDefineXML(connection, texts[at]), paths[at]);
            if (*mode == 'r' && virDomainCreateWithFlags(domain, PAUSED)) must(NULL, paths[at]);
            virDomainFree(domain);
        }
        return 0;
    }
    if (!strcmp(mode, "remove")) {
        int found = virConnectListAllDomains(connection, &domains, 0);
        for (int at = 0; at < found; at++) {
            virDomainDestroy(domains[at]);
            undefine(domains[at]);
        }
        return 0;
    }
    if (!strcmp(mode, "probe")) {
        for (int at = 0; at < count; at++)
            free(must(virConnectGetDomainCapabilities(connection, paths[at], at + 2 < argc ? argv[at + 2] : NULL, NULL, NULL, 0),
                      paths[at]));
        return 0;
    }
    for (int round = 0; round < rounds; round++) {
        long long took = 0, start;
        if (!strcmp(mode, "convert") || !strcmp(mode, "native")) {
            for (int at = 0; at < count; at++) {
                start = now();
                char *native = virConnectDomainXMLToNative(connection, "qemu-argv", texts[at], 0);
                took += now() - start;
                if (native && *mode == 'c') puts(paths[at]);
                free(native);
            }
        } else if (!strcmp(mode, "define")) {
            for (int at = 0; at < count; at++) {
                start = now();
                void *domain = must(virDomainDefineXML(connection, texts[at]), paths[at]);
                printf("%lld\n", now() - start);
                undefine(domain);
            }
        } else if (!strcmp(mode, "start")) {
            void *domain = must(virDomainDefineXML(connection, texts[0]), paths[0]);
            start = now();
            if (virDomainCreateWithFlags(domain, PAUSED)) must(NULL, "start");
            printf("%lld\n", now() - start);
            start = now();
            if (virDomainDestroy(domain)) must(NULL, "destroy");
            printf("%lld\n", now() - start);
            undefine(domain);
        } else {
            start = now();
            int found = virConnectListAllDomains(connection, &domains, 0);
            for (int at = 0; at < found; at++) {
                free(virDomainGetXMLDesc(domains[at], 0));
                virDomainFree(domains[at]);
            }
            took = now() - start;
            free(domains);
        }
        if (!best || took < best) best = took;
    }
    if (!strcmp(mode, "list") || !strcmp(mode, "native")) printf("%lld\n", best);
    return 0;
}
