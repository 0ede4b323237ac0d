/* What libvirt and libxml2 need for the documents whose paths stand on standard input, one a line.
 *
 *   accept        prints the paths that virDomainDefineXML takes on test:///default
 *   time ROUNDS   prints, for the fastest round, nanoseconds of virDomainDefineXML and virDomainGetXMLDesc, and of libxml2's
 *                 parser alone, over all documents
 *
 * The libraries' own declarations are given here, so that only the libraries themselves have to be installed. */
#include "texts.h"

void *virConnectOpen(const char *uri);
void virSetErrorFunc(void *data, void (*handler)(void *data, void *error));
void *virDomainDefineXML(void *connection, const char *xml);
char *virDomainGetXMLDesc(void *domain, unsigned flags);
int virDomainUndefine(void *domain);
int virDomainFree(void *domain);
void *xmlReadMemory(const char *text, int size, const char *url, const char *encoding, int options);
void xmlFreeDoc(void *document);

enum { NO_NETWORK = 1 << 11, NO_ERROR = 1 << 5, NO_WARNING = 1 << 6 };

int main(int argc, char **argv) {
    read_texts();
    virSetErrorFunc(NULL, silent);
    void *connection = virConnectOpen("test:///default");
    if (!connection || argc < 2) return 1;
    if (!strcmp(argv[1], "accept")) {
        for (int at = 0; at < count; at++) {
            void *domain = virDomainDefineXML(connection, texts[at]);
            if (!domain) continue;
            puts(paths[at]);
            virDomainUndefine(domain);
            virDomainFree(domain);
        }
        return 0;
    }
    long long libvirt = 0, libxml2 = 0;
    for (int round = argc > 2 ? atoi(argv[2]) : 1; round > 0; round--) {
        long long took = 0;
        for (int at = 0; at < count; at++) {
            long long start = now();
            void *domain = virDomainDefineXML(connection, texts[at]);
            char *xml = domain ? virDomainGetXMLDesc(domain, 0) : NULL;
            took += now() - start;
            if (!xml) {
                fprintf(stderr, "%s is not accepted any more\n", paths[at]);
                return 1;
            }
            free(xml);
            virDomainUndefine(domain);
            virDomainFree(domain);
        }
        if (!libvirt || took < libvirt) libvirt = took;
        long long start = now();
        for (int at = 0; at < count; at++)
            xmlFreeDoc(xmlReadMemory(texts[at], strlen(texts[at]), NULL, NULL, NO_NETWORK | NO_ERROR | NO_WARNING));
        took = now() - start;
        if (!libxml2 || took < libxml2) libxml2 = took;
    }
    printf("%lld %lld\n", libvirt, libxml2);
    return 0;
}
