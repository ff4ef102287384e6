/* One step of a stack of recurrent layers and a softmax head, for any number of rows, on a CPU.

   Each output is a sum over the inputs in their order, one multiply-add after the other (fused if
   the processor supports it). Every row passes through the same instructions, for any number of
   rows and on any thread. Therefore the result of a row does not depend on its batch, to the last
   bit.

   Weights are packed in panels of WIDTH lanes by four accumulators: the four gates of WIDTH units
   of an LSTM, the three gates of a GRU (whose candidate needs two sums), or 4 * WIDTH units of an
   Elman network or outputs of the head. The gates and cells of a panel are combined in registers.
   For a single row, reading the weights is most of the work; each is read once per step.

   `charlm/model/packed.py` packs the weights and calls these functions. Plain C11 with vector
   extensions (gcc, clang), compiled once for each instruction set; `charlm/kernels/step_library.py`
   loads the best one that the processor supports. */

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH 16 /* lanes of a vector */
#define ROWS 6   /* rows per pass through a panel: their sums stay in registers */

typedef float Lanes __attribute__((vector_size(4 * WIDTH), aligned(4)));
typedef int32_t Bits __attribute__((vector_size(4 * WIDTH)));

/* The sums stay in registers only if these loops are unrolled. -O3 unrolls them by itself but takes
   ten times as long to compile. */
#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif

#define INLINE static inline __attribute__((always_inline))

enum Kind { LSTM, GRU, TANH, RELU, HEAD };

typedef struct {
    int32_t kind, input_size, hidden_size; /* hidden_size of the head: number of outputs */
    int32_t padded_size;                   /* units, or outputs, of all panels */
    int32_t offset;                        /* start of its state in a row of states */
    const float *from_input;  /* [panel][input][gate][lane] */
    const float *from_hidden; /* [panel][hidden][gate][lane]; NULL in the head */
    const float *start;       /* [panel][accumulator][lane]: biases */
} Layer;

typedef struct {
    int32_t num_layers, state_size;
    const Layer *layers;    /* num_layers layers, then the head */
    const float *embedding; /* [token][input_size of the first layer] */
    float *table;           /* [token][panel][accumulator][lane] of the first layer; or NULL */
    uint8_t *known;         /* [token]: 1 if its row of the table has been computed */
} Model;

/* Instruction sets, numbered as in instruction_set.py. charlm_instruction_set returns the widest
 * one of this processor. hatch_build.py enables only the extensions that it checks. */
enum InstructionSet { BASELINE, AVX2, AVX512 };

int charlm_instruction_set(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
          __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2")))
        return BASELINE;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        return AVX512;
    return AVX2;
#else
    return BASELINE;
#endif
}

/* -- arithmetic on lanes ------------------------------------------------------------------- */

INLINE Lanes all(float x) { return (Lanes){0} + x; }

INLINE Lanes choose(Bits mask, Lanes a, Lanes b) {
    return (Lanes)((mask & (Bits)a) | (~mask & (Bits)b));
}

/* e^x = 2^n e^r with |r| <= ln 2 / 2: there a Taylor polynomial of degree 6 is exact to
   rounding. */
INLINE Lanes exponential(Lanes x) {
    x = choose(x > all(88.0f), all(88.0f), x);
    x = choose(x < all(-87.0f), all(-87.0f), x);
    const Lanes magic = all(12582912.0f); /* 1.5 * 2^23: adding it rounds to an integer */
    Lanes n = x * all(1.44269504f) + magic;
    Bits exponent = ((Bits)n - (Bits)magic + 127) << 23;
    n -= magic;
    Lanes r = x - n * all(0.693359375f) - n * all(-2.12194440e-4f); /* ln 2 in two parts */
    Lanes sum = all(1.0f / 720);
    sum = sum * r + all(1.0f / 120);
    sum = sum * r + all(1.0f / 24);
    sum = sum * r + all(1.0f / 6);
    sum = sum * r + all(0.5f);
    sum = sum * r + all(1.0f);
    sum = sum * r + all(1.0f);
    return sum * (Lanes)exponent;
}

INLINE Lanes sigmoid(Lanes x) { return all(1.0f) / (all(1.0f) + exponential(-x)); }
INLINE Lanes hyperbolic_tangent(Lanes x) { return all(2.0f) * sigmoid(x + x) - all(1.0f); }

/* -- panels -------------------------------------------------------------------------------- */

/* sums[row][gate] += weights[k][gate] * x[row][k] for k = 0, 1, ... in this order. Each number of
   rows and gates is compiled separately, so that the sums stay in registers. */
INLINE void add_products(Lanes sums[][4], int rows, int gates, const float *weights, int size,
                         const float *const x[]) {
    Lanes kept[ROWS][4];
    const Lanes *w = (const Lanes *)weights;
    memcpy(kept, sums, rows * sizeof *sums);
    for (int k = 0; k < size; k++, w += gates)
        UNROLL for (int row = 0; row < rows; row++)
            UNROLL for (int gate = 0; gate < gates; gate++)
                kept[row][gate] += w[gate] * all(x[row][k]);
    memcpy(sums, kept, rows * sizeof *sums);
}

#define EACH(gates)                                                       \
    switch (rows) {                                                       \
    case 1: add_products(sums, 1, gates, weights, size, x); break;        \
    case 2: add_products(sums, 2, gates, weights, size, x); break;        \
    case 3: add_products(sums, 3, gates, weights, size, x); break;        \
    case 4: add_products(sums, 4, gates, weights, size, x); break;        \
    case 5: add_products(sums, 5, gates, weights, size, x); break;        \
    default: add_products(sums, 6, gates, weights, size, x);              \
    }

static void add_all_products(Lanes sums[][4], int rows, int gates, const float *weights,
                                int size, const float *const x[]) {
    if (gates == 3)
        EACH(3)
    else
        EACH(4)
}

/* Compute the next state, or the logits, from the sums of a panel. `first` is the first unit of the
   panel; `state` and `next` belong to the layer, an LSTM's cell after its hidden vector. */
static void finish(const Layer *layer, int first, const Lanes *s, const float *state,
                          float *next) {
    const int units = 4 * WIDTH, missing = layer->hidden_size - first;
    Lanes *hidden = (Lanes *)(next + first);
    switch (layer->kind) {
    case LSTM: { /* i, f, g, o */
        const Lanes *cell = (const Lanes *)(state + layer->padded_size + first);
        Lanes next_cell = sigmoid(s[1]) * *cell + sigmoid(s[0]) * hyperbolic_tangent(s[2]);
        *(Lanes *)(next + layer->padded_size + first) = next_cell;
        *hidden = sigmoid(s[3]) * hyperbolic_tangent(next_cell);
        break;
    }
    case GRU: { /* r, z, n of the hidden state, n of the input */
        Lanes z = sigmoid(s[1]);
        Lanes n = hyperbolic_tangent(s[3] + sigmoid(s[0]) * s[2]);
        *hidden = (all(1.0f) - z) * n + z * *(const Lanes *)(state + first);
        break;
    }
    case TANH:
        for (int part = 0; part < 4; part++)
            hidden[part] = hyperbolic_tangent(s[part]);
        break;
    case RELU:
        for (int part = 0; part < 4; part++)
            hidden[part] = choose(s[part] > all(0), s[part], all(0));
        break;
    default: /* the last panel of the head may have more lanes than logits are left */
        memcpy(hidden, s, 4 * (missing < units ? missing : units));
    }
}

/* Rows of a batch that are passed through a panel together. */
typedef struct {
    const float *start[ROWS];  /* biases, or the token's row of the table */
    const float *input[ROWS];  /* NULL if start is a row of the table */
    const float *hidden[ROWS]; /* the layer's state */
    float *out[ROWS];          /* the layer's next state, or the logits */
} Block;

static int num_gates(const Layer *layer) { return layer->kind == GRU ? 3 : 4; }

static void run_block(const Layer *layer, int index, int rows, const Block *block) {
    const int gates = num_gates(layer), units = layer->kind <= GRU ? WIDTH : 4 * WIDTH;
    const size_t weights = (size_t)index * gates * WIDTH;
    Lanes sums[ROWS][4];
    for (int row = 0; row < rows; row++)
        memcpy(sums[row], block->start[row] + 4 * WIDTH * index, sizeof sums[row]);
    if (block->input[0])
        add_all_products(sums, rows, gates, layer->from_input + weights * layer->input_size,
                            layer->input_size, block->input);
    if (layer->kind == GRU) /* move the input's sum of the candidate to the fourth place */
        for (int row = 0; row < rows; row++) {
            Lanes from_input = sums[row][2];
            sums[row][2] = sums[row][3];
            sums[row][3] = from_input;
        }
    if (layer->kind != HEAD)
        add_all_products(sums, rows, gates, layer->from_hidden + weights * layer->hidden_size,
                            layer->hidden_size, block->hidden);
    for (int row = 0; row < rows; row++)
        finish(layer, index * units, sums[row], block->hidden[row], block->out[row]);
}

/* -- layers -------------------------------------------------------------------------------- */

/* Tensors of a step. A row of states holds the states of all layers, one after the other. */
typedef struct {
    bool tabulates; /* compute the rows of the table for these tokens instead of a step */
    int rows;
    const int64_t *tokens; /* [row] */
    const float *state;    /* [row][state_size] */
    float *next;           /* [row][state_size] */
    float *logits;         /* [row][vocab_size] */
} Step;

static int num_panels(const Layer *layer) {
    const bool gated = layer->kind == LSTM || layer->kind == GRU;
    return layer->padded_size / (gated ? WIDTH : 4 * WIDTH);
}

static float *table_row(const Model *model, int64_t token) {
    return model->table + (size_t)token * num_panels(model->layers) * 4 * WIDTH;
}

/* Compute a panel of the table for all tokens of the step: what an embedding adds to the first
   layer, plus the biases. */
static void tabulate_panel(const Model *model, const Step *step, const Layer *layer, int index) {
    const int gates = num_gates(layer);
    const float *weights = layer->from_input + (size_t)index * gates * WIDTH * layer->input_size;
    for (int at = 0; at < step->rows; at += ROWS) {
        const int rows = step->rows - at < ROWS ? step->rows - at : ROWS;
        const float *embedding[ROWS];
        Lanes sums[ROWS][4];
        for (int row = 0; row < rows; row++) {
            embedding[row] =
                model->embedding + (size_t)step->tokens[at + row] * layer->input_size;
            memcpy(sums[row], layer->start + 4 * WIDTH * index, sizeof sums[row]);
        }
        add_all_products(sums, rows, gates, weights, layer->input_size, embedding);
        for (int row = 0; row < rows; row++)
            memcpy(table_row(model, step->tokens[at + row]) + 4 * WIDTH * index, sums[row],
                   sizeof sums[row]);
    }
}

/* Compute a panel of a layer, or of the head, for all rows. */
static void run_panel(const Model *model, const Step *step, const Layer *layer, int index) {
    if (step->tabulates) {
        tabulate_panel(model, step, layer, index);
        return;
    }
    const bool bottom = layer == model->layers, head = layer->kind == HEAD;
    for (int at = 0; at < step->rows; at += ROWS) {
        const int rows = step->rows - at < ROWS ? step->rows - at : ROWS;
        Block block;
        for (int row = 0; row < rows; row++) {
            const int64_t token = step->tokens[at + row];
            const float *state = step->state + (size_t)(at + row) * model->state_size;
            float *next = step->next + (size_t)(at + row) * model->state_size;
            block.start[row] = bottom && model->table ? table_row(model, token) : layer->start;
            block.input[row] = !bottom        ? next + layer[-1].offset
                               : model->table ? NULL
                               : model->embedding + (size_t)token * layer->input_size;
            block.hidden[row] = state + layer->offset;
            block.out[row] = head ? step->logits + (size_t)(at + row) * layer->hidden_size
                                  : next + layer->offset;
        }
        run_block(layer, index, rows, &block);
    }
}

/* -- threads ------------------------------------------------------------------------------- */

/* Threads take panels of a layer until none is left. The caller works too, so it does not wait for
   sleeping threads: a busy machine slows a step down but does not stop it. */
typedef struct Pool {
    const Model *model;
    const Step *step;
    const Layer *layer;
    atomic_int left; /* panels that no thread has taken */
    atomic_int busy; /* incomplete panels; unless it is 0, model, step and layer must not change */
    atomic_int asleep, closing;
    int num_threads;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    pthread_t threads[];
} Pool;

enum { SPINS = 4000 }; /* about 100 microseconds: longer than the time between two steps */

static void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Take and compute a panel; return false if there is none. */
static bool work(Pool *pool) {
    int left = atomic_load(&pool->left);
    while (left > 0 && !atomic_compare_exchange_weak(&pool->left, &left, left - 1)) {
    }
    if (left == 0)
        return false;
    run_panel(pool->model, pool->step, pool->layer, left - 1);
    atomic_fetch_sub(&pool->busy, 1);
    return true;
}

static void *serve(void *argument) {
    Pool *pool = argument;
    for (int spins = 0; !atomic_load(&pool->closing); spins++) {
        if (work(pool)) {
            spins = 0;
        } else if (spins < SPINS) {
            relax();
        } else {
            pthread_mutex_lock(&pool->mutex);
            atomic_fetch_add(&pool->asleep, 1);
            while (atomic_load(&pool->left) == 0 && !atomic_load(&pool->closing))
                pthread_cond_wait(&pool->wake, &pool->mutex);
            atomic_fetch_sub(&pool->asleep, 1);
            pthread_mutex_unlock(&pool->mutex);
            spins = 0;
        }
    }
    return NULL;
}

static void wake_all(Pool *pool) {
    pthread_mutex_lock(&pool->mutex);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->mutex);
}

void charlm_close_pool(Pool *pool) {
    atomic_store(&pool->closing, 1);
    wake_all(pool);
    for (int i = 0; i < pool->num_threads; i++)
        pthread_join(pool->threads[i], NULL);
    pthread_mutex_destroy(&pool->mutex);
    pthread_cond_destroy(&pool->wake);
    free(pool);
}

/* Start up to `num_helpers` threads, as many as the system allows. Return NULL if out of memory. */
Pool *charlm_open_pool(int num_helpers) {
    Pool *pool = calloc(1, sizeof *pool + (size_t)num_helpers * sizeof(pthread_t));
    if (!pool)
        return NULL;
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->wake, NULL);
    while (pool->num_threads < num_helpers &&
           pthread_create(&pool->threads[pool->num_threads], NULL, serve, pool) == 0)
        pool->num_threads++;
    return pool;
}

static void run_layer(Pool *pool, const Model *model, const Step *step, const Layer *layer) {
    const int panels = num_panels(layer);
    const size_t inputs = layer->input_size + (layer->kind == HEAD ? 0 : layer->hidden_size);
    if (!pool || inputs * panels * step->rows < 2048) { /* less than about 10 microseconds */
        for (int index = 0; index < panels; index++)
            run_panel(model, step, layer, index);
        return;
    }
    pool->model = model;
    pool->step = step;
    pool->layer = layer;
    atomic_store(&pool->busy, panels);
    atomic_store(&pool->left, panels);
    if (atomic_load(&pool->asleep) > 0)
        wake_all(pool);
    while (work(pool)) {
    }
    for (int spins = 0; atomic_load(&pool->busy) > 0; spins++)
        spins < SPINS ? relax() : (void)sched_yield();
}

/* -- steps --------------------------------------------------------------------------------- */

/* Compute the missing rows of the table for `tokens`. */
static void tabulate(const Model *model, Pool *pool, int rows, const int64_t *tokens) {
    int64_t missing[64];
    int count = 0;
    for (int row = 0; row < rows; row++) {
        if (!model->known[tokens[row]]) {
            model->known[tokens[row]] = 1;
            missing[count++] = tokens[row];
        }
        if (count == 64 || (count > 0 && row == rows - 1)) {
            const Step step = {true, count, missing, NULL, NULL, NULL};
            run_layer(pool, model, &step, model->layers);
            count = 0;
        }
    }
}

/* Compute the logits after `tokens` and the next state. Return false, and compute nothing, if a
   token is not in the vocabulary. */
bool charlm_step(const Model *model, Pool *pool, int rows, const int64_t *tokens,
                 const float *state, float *next, float *logits) {
    const Step step = {false, rows, tokens, state, next, logits};
    for (int row = 0; row < rows; row++)
        if (tokens[row] < 0 || tokens[row] >= model->layers[model->num_layers].hidden_size)
            return false;
    if (model->table)
        tabulate(model, pool, rows, tokens);
    for (int i = 0; i <= model->num_layers; i++)
        run_layer(pool, model, &step, model->layers + i);
    return true;
}

/* Return a token drawn from softmax((logits + added) / temperature) by inverting the distribution
   function at `uniform`, in [0, 1), or the most probable token if `uniform` is negative. */
static int64_t choose_token(const float *logits, const float *added, int size, float temperature,
                             double uniform, float *weights) {
    int best = 0;
    for (int i = 0; i < size; i++) {
        weights[i] = logits[i] + added[i];
        if (weights[i] > weights[best])
            best = i;
    }
    if (uniform < 0)
        return best;
    const Lanes most = all(weights[best]), scale = all(temperature);
    for (int i = 0; i < size; i += WIDTH) {
        Lanes x = most - all(1000) * scale; /* padding lanes, not stored */
        const size_t bytes = 4 * (size - i < WIDTH ? size - i : WIDTH);
        memcpy(&x, weights + i, bytes);
        x = (x - most) / scale;
        x = choose(x > all(-87.0f), exponential(x), all(0));
        memcpy(weights + i, &x, bytes);
    }
    double total = 0, sum = 0;
    for (int i = 0; i < size; i++)
        total += weights[i];
    int64_t token = best; /* used if rounding keeps all sums below the target */
    for (int i = 0; i < size; i++) {
        sum += weights[i];
        if (sum > uniform * total) {
            token = i;
            break;
        }
    }
    return token;
}

/* Choose a token for each row from its logits and step with it, `count` times. `state` and
   `other_state` alternate, starting with `state`: the last state is in `state` if `count` is even.
   `uniforms` (NULL: most probable tokens) and `tokens` are [count][rows]. */
void charlm_write(const Model *model, Pool *pool, int rows, int count, const float *added,
                  float temperature, const double *uniforms, int64_t *tokens, float *state,
                  float *other_state, float *logits, float *weights) {
    const int size = model->layers[model->num_layers].hidden_size;
    for (int i = 0; i < count; i++) {
        for (int row = 0; row < rows; row++)
            tokens[row] = choose_token(logits + (size_t)row * size, added, size, temperature,
                                        uniforms ? uniforms[row] : -1, weights);
        charlm_step(model, pool, rows, tokens, state, other_state, logits);
        float *written = other_state;
        other_state = state;
        state = written;
        tokens += rows;
        uniforms = uniforms ? uniforms + rows : NULL;
    }
}
