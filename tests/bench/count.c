/* A plugin of QEMU's TCG that counts the guest's instructions, block by block.
 *
 *   qemu-aarch64 -plugin count.so,out=FILE PROGRAM ...
 *
 * FILE is written when the guest ends: `block ADDRESS INSTRUCTIONS EXECUTIONS` for each block of code
 * that ran, `map` with a line of /proc/self/maps for each mapping of a file, `total N`. In user emulation of a 64-bit
 * guest QEMU gives the guest its own addresses, so that these mappings say which file a block comes from.
 *
 * The declarations are those of QEMU's plugin interface, version 1 (QEMU 4.2 to 8.2). No package of Debian brings its
 * header. QEMU itself refuses a plugin whose version it does not speak. Additions are not locked: count with one thread.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORTED __attribute__((visibility("default")))

struct qemu_plugin_tb;
enum operation { ADD_U64 };

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, enum operation, void *, uint64_t);
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, void (*)(uint64_t, struct qemu_plugin_tb *));
void qemu_plugin_register_atexit_cb(uint64_t id, void (*)(uint64_t, void *), void *);

EXPORTED int qemu_plugin_version = 1;

struct block { uint64_t address, instructions, *executions; };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct block *table; /* open addressing; a free place has no instructions */
static size_t places = 1 << 16, used;
static char *result;

static struct block *place_of(uint64_t address, uint64_t instructions) {
    size_t at = (address * 0x9E3779B97F4A7C15u + instructions) & (places - 1);
    while (table[at].instructions && (table[at].address != address || table[at].instructions != instructions))
        at = (at + 1) & (places - 1);
    return &table[at];
}

static void *zeroed(size_t count) {
    void *memory = calloc(count, sizeof(struct block));
    if (!memory) abort();
    return memory;
}

static void grow(void) {
    struct block *old = table;
    size_t before = places;
    places *= 2;
    table = zeroed(places);
    for (size_t i = 0; i < before; i++)
        if (old[i].instructions) *place_of(old[i].address, old[i].instructions) = old[i];
    free(old);
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb) {
    uint64_t address = qemu_plugin_tb_vaddr(tb), instructions = qemu_plugin_tb_n_insns(tb);
    pthread_mutex_lock(&lock);
    if (2 * used > places) grow();
    struct block *block = place_of(address, instructions);
    if (!block->instructions) {
        *block = (struct block){address, instructions, zeroed(1)};
        used++;
    }
    uint64_t *executions = block->executions;
    pthread_mutex_unlock(&lock);
    qemu_plugin_register_vcpu_tb_exec_inline(tb, ADD_U64, executions, 1);
}

static void copy_maps(FILE *out) {
    char line[5000];
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps && fgets(line, sizeof line, maps))
        if (strchr(line, '/')) fprintf(out, "map %s", line);
    if (maps) fclose(maps);
}

static void ended(uint64_t id, void *unused) {
    uint64_t total = 0;
    FILE *out = fopen(result, "w");
    if (!out) { perror(result); return; }
    for (size_t i = 0; i < places; i++) {
        if (!table[i].instructions) continue;
        uint64_t times = *table[i].executions;
        total += times * table[i].instructions;
        fprintf(out, "block %llx %llu %llu\n", (unsigned long long)table[i].address,
                (unsigned long long)table[i].instructions, (unsigned long long)times);
    }
    copy_maps(out);
    fprintf(out, "total %llu\n", (unsigned long long)total);
    fclose(out);
}

EXPORTED int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv) {
    for (int i = 0; i < argc; i++)
        if (!strncmp(argv[i], "out=", 4)) result = strdup(argv[i] + 4);
    if (!result) { fprintf(stderr, "count.so: say out=FILE\n"); return 1; }
    table = zeroed(places);
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
