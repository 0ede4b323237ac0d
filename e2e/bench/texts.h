/* The documents whose paths stand on standard input, one a line, and a clock. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST = 8192 };

static char *paths[MOST], *texts[MOST];
static int count;

static void silent(void *data, void *error) { (void)data, (void)error; }

static long long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static char *read_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(1);
    }
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    char *text = malloc(size + 1);
    if (fread(text, 1, size, file) != (size_t)size) exit(1);
    text[size] = 0;
    fclose(file);
    return text;
}

static void read_texts(void) {
    char line[4096];
    while (count < MOST && fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        paths[count] = strdup(line);
        texts[count++] = read_file(line);
    }
}
