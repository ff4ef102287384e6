/* An LSTM over a window of tokens, forward and backward through time, in bfloat16 on a CPU.

   This file computes only what depends on the previous step: the product of the last hidden
   vector with the recurrent weights, the gates, and their gradients. The inputs' contributions to
   the gates are an argument, and the gradients of the gates are a result. The products with the
   inputs and the gradients of the weights are then one large matrix product each per window, which
   torch computes.

   Units are grouped in panels of LANES. Two panels with all their gates are a share of work, which
   the same thread processes in every step: its weights stay in the cache of that core, and threads
   synchronize once per step. Products are of bfloat16 with sums in float32, with AMX tiles if the
   processor has them, otherwise with AVX-512. Both read the same layout: a tile of weights has
   LANES columns of DEPTH inputs, with inputs in pairs; a tile of rows has LANES rows of DEPTH
   inputs.

   `charlm/cells/recurrence.py` packs the tensors and calls these functions. C11 for gcc and clang.
   On other processors than x86-64, or without Linux, `charlm_lstm_speed` returns 0, and of the
   other functions only `charlm_lstm_window_bytes` exists. */

#include <stdint.h>

typedef uint16_t Half; /* a bfloat16; a float16 for stored gates */

typedef struct {
    int32_t rows, time, hidden_size, num_threads, uses_tiles;
    const Half *weights;  /* packed for this direction */
    Half *operand;        /* [2][row block][input block][LANES][DEPTH]: rows of product, zeroed */
    Half *activations;    /* [time][panel][padded row][gate][LANES]; NULL without gradients */
    float *cells;         /* [time][panel][padded row][LANES]; one step without gradients */
    const float *first_cell; /* [row][unit] */
    /* forward pass */
    const Half *inputs;   /* [any][gate][unit]: what inputs add to the gates */
    const int64_t *index; /* [row][time]: which input; NULL: inputs are [row][time][gate][unit] */
    const float *bias;    /* [gate][unit] */
    const float *peepholes; /* [i, f, o][unit]: weights of the unit's cell, or NULL */
    const float *first_hidden; /* [row][unit] */
    Half *output;         /* [row][time][unit] */
    float *last_cell;     /* [row][unit] */
    /* backward pass */
    const Half *output_gradient; /* [row][time][unit] */
    float *cell_gradient;        /* [panel][padded row][LANES]: of the last cell, then the first */
    Half *gate_gradient;         /* [row][time][gate][unit] */
    float *bias_gradient;        /* [gate][unit] */
    float *peephole_gradient;    /* [i, f, o][unit]; NULL without peepholes */
} Window;

/* The caller compares this with the size of its own struct to detect another version. */
int charlm_lstm_window_bytes(void) { return sizeof(Window); }

#if defined(__x86_64__) && defined(__linux__)

#include <immintrin.h>
#ifdef _OPENMP
#include <omp.h>
#endif
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LANES 16 /* floats of a vector, rows of a tile */
#define DEPTH 32 /* inputs of a tile */
#define TILE (LANES * DEPTH)
#define GATES 4 /* i, f, g, o, as in torch */
#define PEEPHOLES 3 /* i, f, o */

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")))
#define AMX __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,amx-tile,amx-bf16")))

typedef __m512 Lanes;

static int padded_size(const Window *w) { return (w->hidden_size + DEPTH - 1) / DEPTH * DEPTH; }
static int num_panels(const Window *w) { return padded_size(w) / LANES; }
static int row_blocks(const Window *w) { return (w->rows + LANES - 1) / LANES; }

/* -- arithmetic on lanes ------------------------------------------------------------------- */

AVX512 static inline Lanes load_half(const Half *from, __mmask16 mask) {
    const __m256i half = _mm256_maskz_loadu_epi16(mask, from);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

AVX512 static inline void store_half(Half *to, __mmask16 mask, Lanes x) {
    _mm256_mask_storeu_epi16(to, mask, (__m256i)_mm512_cvtneps_pbh(x));
}

/* Gates are in [-1, 1], where float16 is eight times as precise as bfloat16: bfloat16 would round a
   forget gate of 0.999 to 1, which never forgets. */
AVX512 static inline void keep_gate(Half *to, Lanes x) {
    _mm256_storeu_si256((__m256i *)to, _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}

AVX512 static inline Lanes kept_gate(const Half *from) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)from));
}

/* 2^x from a polynomial on [-1/2, 1/2], accurate to float32 rounding. */
AVX512 static inline Lanes power_of_two(Lanes x) {
    const Lanes n = _mm512_roundscale_ps(x, 0), r = x - n;
    Lanes sum = _mm512_set1_ps(1.54035304e-4f);
    sum = _mm512_fmadd_ps(sum, r, _mm512_set1_ps(1.33335581e-3f));
    sum = _mm512_fmadd_ps(sum, r, _mm512_set1_ps(9.61812911e-3f));
    sum = _mm512_fmadd_ps(sum, r, _mm512_set1_ps(5.55041087e-2f));
    sum = _mm512_fmadd_ps(sum, r, _mm512_set1_ps(2.40226507e-1f));
    sum = _mm512_fmadd_ps(sum, r, _mm512_set1_ps(6.93147181e-1f));
    sum = _mm512_fmadd_ps(sum, r, _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(sum, n);
}

/* 1 / x: the processor's estimate, refined by one Newton step. */
AVX512 static inline Lanes reciprocal(Lanes x) {
    const Lanes y = _mm512_rcp14_ps(x);
    return y * _mm512_fnmadd_ps(x, y, _mm512_set1_ps(2.0f));
}

/* Clamping to |x| <= 80 does not change the result and keeps 2^x finite. NaN stays NaN. */
AVX512 static inline Lanes sigmoid(Lanes x) {
    x = _mm512_max_ps(_mm512_set1_ps(-80.0f), _mm512_min_ps(_mm512_set1_ps(80.0f), x));
    const Lanes one = _mm512_set1_ps(1.0f);
    return reciprocal(one + power_of_two(x * _mm512_set1_ps(-1.44269504f)));
}

AVX512 static inline Lanes hyperbolic_tangent(Lanes x) {
    const Lanes two = _mm512_set1_ps(2.0f);
    return _mm512_fmsub_ps(two, sigmoid(two * x), _mm512_set1_ps(1.0f));
}

/* -- products ------------------------------------------------------------------------------ */

/* sums[block][n] = rows[block] x weights[n] for one or two blocks of rows and two tile columns. */
typedef float Sums[2][GATES][LANES][LANES]; /* [block][column tile][row][lane] */
typedef void Product(const Half *rows, int blocks, int depths, const Half *first,
                     const Half *second, Sums sums, int column);

AVX512 static void product_avx512(const Half *rows, int blocks, int depths, const Half *first,
                                  const Half *second, Sums sums, int column) {
    for (int block = 0; block < blocks; block++) {
        for (int half = 0; half < LANES; half += 8) { /* the sums of eight rows stay in registers */
            const Half *a = rows + (size_t)block * depths * TILE + half * DEPTH;
            Lanes left[8], right[8];
#pragma GCC unroll 8
            for (int row = 0; row < 8; row++)
                left[row] = right[row] = _mm512_setzero_ps();
            for (int depth = 0; depth < depths; depth++)
                for (int pair = 0; pair < DEPTH / 2; pair++) {
                    const size_t at = (size_t)depth * TILE + pair * DEPTH;
                    const __m512bh x = (__m512bh)_mm512_loadu_si512(first + at);
                    const __m512bh y = (__m512bh)_mm512_loadu_si512(second + at);
#pragma GCC unroll 8
                    for (int row = 0; row < 8; row++) {
                        int32_t two;
                        memcpy(&two, a + (size_t)depth * TILE + row * DEPTH + 2 * pair, 4);
                        const __m512bh z = (__m512bh)_mm512_set1_epi32(two);
                        left[row] = _mm512_dpbf16_ps(left[row], z, x);
                        right[row] = _mm512_dpbf16_ps(right[row], z, y);
                    }
                }
#pragma GCC unroll 8
            for (int row = 0; row < 8; row++) {
                _mm512_storeu_ps(sums[block][column][half + row], left[row]);
                _mm512_storeu_ps(sums[block][column + 1][half + row], right[row]);
            }
        }
    }
}

AMX static void product_amx(const Half *rows, int blocks, int depths, const Half *first,
                            const Half *second, Sums sums, int column) {
    const Half *lower = rows + (size_t)depths * TILE;
    const size_t line = DEPTH * sizeof(Half);
    _tile_zero(0);
    _tile_zero(1);
    if (blocks == 2) {
        _tile_zero(2);
        _tile_zero(3);
        for (int depth = 0; depth < depths; depth++) {
            _tile_loadd(4, rows + depth * TILE, line);
            _tile_loadd(6, first + depth * TILE, line);
            _tile_loadd(7, second + depth * TILE, line);
            _tile_loadd(5, lower + depth * TILE, line);
            _tile_dpbf16ps(0, 4, 6);
            _tile_dpbf16ps(1, 4, 7);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
        }
        _tile_stored(2, sums[1][column], sizeof(float) * LANES);
        _tile_stored(3, sums[1][column + 1], sizeof(float) * LANES);
    } else {
        for (int depth = 0; depth < depths; depth++) {
            _tile_loadd(4, rows + depth * TILE, line);
            _tile_loadd(6, first + depth * TILE, line);
            _tile_loadd(7, second + depth * TILE, line);
            _tile_dpbf16ps(0, 4, 6);
            _tile_dpbf16ps(1, 4, 7);
        }
    }
    _tile_stored(0, sums[0][column], sizeof(float) * LANES);
    _tile_stored(1, sums[0][column + 1], sizeof(float) * LANES);
}

/* Configure eight tiles of 16 rows of 64 bytes. */
AMX static void open_tiles(void) {
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } shape = {.palette = 1};
    for (int tile = 0; tile < 8; tile++) {
        shape.bytes[tile] = 64;
        shape.rows[tile] = 16;
    }
    __asm__ volatile("" : : "r"(&shape) : "memory"); /* gcc 12 assumes that only 8 bytes are read */
    _tile_loadconfig(&shape);
}

AMX static void close_tiles(void) { _tile_release(); }

enum Speed { NONE, VECTORS, TILES };

/* Return the support of this processor: none, AVX-512 with bfloat16, or also AMX. */
int charlm_lstm_speed(void) {
    const int request_permission = 0x1023, tile_data = 18;
    uint32_t a = 7, b, c = 0, d;
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("avx512dq") ||
        !__builtin_cpu_supports("avx512bf16"))
        return NONE;
    __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    const bool has_tiles = d >> 22 & 1 && d >> 24 & 1; /* AMX-BF16 and AMX-TILE */
    if (has_tiles && syscall(SYS_arch_prctl, request_permission, tile_data) == 0)
        return TILES;
    return VECTORS;
}

/* -- threads ------------------------------------------------------------------------------- */

/* A barrier, passed once per step. A thread that waits long yields its core. */
typedef struct {
    atomic_int arrived, round;
} Meeting;

static void meet(Meeting *meeting, int num_threads) {
    const int round = atomic_load(&meeting->round);
    if (atomic_fetch_add(&meeting->arrived, 1) == num_threads - 1) {
        atomic_store(&meeting->arrived, 0);
        atomic_store(&meeting->round, round + 1);
        return;
    }
    for (int spins = 0; atomic_load(&meeting->round) == round; spins++)
        spins < 4000 ? _mm_pause() : (void)sched_yield();
}

/* -- forward pass -------------------------------------------------------------------------- */

static __mmask16 lanes_of_panel(const Window *w, int panel) {
    const int left = w->hidden_size - panel * LANES;
    return left >= LANES ? 0xffff : left <= 0 ? 0 : (1 << left) - 1;
}

/* Return the address of one input of a row in the operand of a product; `turn` selects the half. */
static Half *operand_of(const Window *w, int turn, int depths, int row, int input) {
    const size_t block = (size_t)(turn * row_blocks(w) + row / LANES) * depths;
    return w->operand + (block + input / DEPTH) * TILE + row % LANES * DEPTH + input % DEPTH;
}

/* Return the peephole weights of a panel; 0 if there are none. `gate` is 0, 1, 2 for i, f, o. */
AVX512 static inline Lanes peephole(const Window *w, int gate, int panel) {
    if (!w->peepholes)
        return _mm512_setzero_ps();
    const float *from = w->peepholes + gate * w->hidden_size + (size_t)panel * LANES;
    return _mm512_maskz_loadu_ps(lanes_of_panel(w, panel), from);
}

/* Compute a row's gates and next state. `sums` is what the last hidden vector adds to the gates. */
AVX512 static void advance(const Window *w, int time, int panel, int row, Lanes sums[GATES]) {
    const int size = w->hidden_size, padded_rows = row_blocks(w) * LANES;
    const __mmask16 mask = lanes_of_panel(w, panel);
    const size_t place = (size_t)row * w->time + time;
    const Half *input = w->inputs + (w->index ? (size_t)w->index[place] : place) * GATES * size;
    const size_t unit = (size_t)panel * LANES, step = padded_rows * num_panels(w);
    const size_t at = (size_t)panel * padded_rows + row; /* within a step */
    const bool keeps = w->activations;
    for (int gate = 0; gate < GATES; gate++)
        sums[gate] += load_half(input + gate * size + unit, mask) +
                      _mm512_maskz_loadu_ps(mask, w->bias + gate * size + unit);
    float *cells = w->cells + (at + (keeps ? time * step : 0)) * LANES;
    const Lanes last = time == 0 ? _mm512_maskz_loadu_ps(mask, w->first_cell + row * size + unit)
                                 : _mm512_loadu_ps(keeps ? cells - step * LANES : cells);
    const Lanes i = sigmoid(sums[0] + peephole(w, 0, panel) * last);
    const Lanes f = sigmoid(sums[1] + peephole(w, 1, panel) * last);
    const Lanes g = hyperbolic_tangent(sums[2]);
    const Lanes cell = f * last + i * g;
    const Lanes o = sigmoid(sums[3] + peephole(w, 2, panel) * cell);
    const Lanes hidden = o * hyperbolic_tangent(cell);
    _mm512_storeu_ps(cells, cell);
    if (keeps) {
        Half *kept = w->activations + (at + time * step) * GATES * LANES;
        const Lanes all[GATES] = {i, f, g, o};
        for (int gate = 0; gate < GATES; gate++)
            keep_gate(kept + gate * LANES, all[gate]);
    }
    store_half(w->output + ((size_t)row * w->time + time) * size + unit, mask, hidden);
    store_half(operand_of(w, (time + 1) % 2, padded_size(w) / DEPTH, row, unit), 0xffff, hidden);
    if (time == w->time - 1)
        _mm512_mask_storeu_ps(w->last_cell + (size_t)row * size + unit, mask, cell);
}

AVX512 static void advance_panel(const Window *w, Product *product, int time, int panel) {
    const int depths = padded_size(w) / DEPTH, blocks = row_blocks(w);
    const size_t column = (size_t)depths * TILE;
    const Half *weights = w->weights + panel * GATES * column;
    Sums sums __attribute__((aligned(64)));
    for (int block = 0; block < blocks; block += 2) {
        const int together = blocks - block < 2 ? 1 : 2;
        const Half *rows = operand_of(w, time % 2, depths, block * LANES, 0);
        product(rows, together, depths, weights, weights + column, sums, 0);
        product(rows, together, depths, weights + 2 * column, weights + 3 * column, sums, 2);
        for (int row = 0; row < together * LANES && block * LANES + row < w->rows; row++) {
            Lanes own[GATES];
            for (int gate = 0; gate < GATES; gate++)
                own[gate] = _mm512_load_ps(sums[row / LANES][gate][row % LANES]);
            advance(w, time, panel, block * LANES + row, own);
        }
    }
}

/* -- backward pass ------------------------------------------------------------------------- */

/* Compute the gradients of a row's gates and previous cell from that of its hidden vector. */
AVX512 static void retreat(const Window *w, int time, int panel, int row, Lanes hidden_gradient,
                           Lanes bias_gradient[GATES], Lanes peephole_gradient[PEEPHOLES]) {
    const int size = w->hidden_size, padded_rows = row_blocks(w) * LANES;
    const __mmask16 mask = lanes_of_panel(w, panel);
    const size_t unit = (size_t)panel * LANES, step = padded_rows * num_panels(w);
    const size_t at = (size_t)panel * padded_rows + row;
    const Lanes one = _mm512_set1_ps(1.0f);
    const Half *kept = w->activations + (at + time * step) * GATES * LANES;
    const Lanes i = kept_gate(kept), f = kept_gate(kept + LANES);
    const Lanes g = kept_gate(kept + 2 * LANES), o = kept_gate(kept + 3 * LANES);
    const float *cells = w->cells + (at + time * step) * LANES;
    const Lanes last = time == 0 ? _mm512_maskz_loadu_ps(mask, w->first_cell + row * size + unit)
                                 : _mm512_loadu_ps(cells - step * LANES);
    const Lanes cell = _mm512_loadu_ps(cells), squashed = hyperbolic_tangent(cell);
    hidden_gradient +=
        load_half(w->output_gradient + ((size_t)row * w->time + time) * size + unit, mask);
    float *carried = w->cell_gradient + at * LANES;
    const Lanes of_o = hidden_gradient * squashed * o * (one - o);
    const Lanes cell_gradient = _mm512_loadu_ps(carried) +
                                hidden_gradient * o * (one - squashed * squashed) +
                                of_o * peephole(w, 2, panel);
    const Lanes gradients[GATES] = {
        cell_gradient * g * i * (one - i),
        cell_gradient * last * f * (one - f),
        cell_gradient * i * (one - g * g),
        of_o,
    };
    _mm512_storeu_ps(carried, cell_gradient * f + gradients[0] * peephole(w, 0, panel) +
                                  gradients[1] * peephole(w, 1, panel));
    peephole_gradient[0] += gradients[0] * last;
    peephole_gradient[1] += gradients[1] * last;
    peephole_gradient[2] += of_o * cell;
    Half *next = operand_of(w, time % 2, GATES * num_panels(w) * LANES / DEPTH, row, unit * GATES);
    Half *out = w->gate_gradient + ((size_t)row * w->time + time) * GATES * size + unit;
    for (int gate = 0; gate < GATES; gate++) {
        bias_gradient[gate] += gradients[gate];
        /* The gates of a panel fill two tiles of the rows of the next product. */
        store_half(next + gate / 2 * TILE + gate % 2 * LANES, 0xffff, gradients[gate]);
        store_half(out + gate * size, mask, gradients[gate]);
    }
}

/* Add a step's gradients of a panel to those of the whole window, [gate][unit]. */
AVX512 static void add_up(const Window *w, float *gradient, int panel, const Lanes *own, int gates) {
    const __mmask16 mask = lanes_of_panel(w, panel);
    for (int gate = 0; gate < gates; gate++) {
        float *to = gradient + gate * w->hidden_size + (size_t)panel * LANES;
        _mm512_mask_storeu_ps(to, mask, _mm512_maskz_loadu_ps(mask, to) + own[gate]);
    }
}

AVX512 static void retreat_pair(const Window *w, Product *product, int time, int panel) {
    const int depths = GATES * num_panels(w) * LANES / DEPTH, blocks = row_blocks(w);
    const Half *weights = w->weights + (size_t)panel * depths * TILE;
    Lanes bias_gradient[2][GATES] = {0}, peephole_gradient[2][PEEPHOLES] = {0};
    Sums sums __attribute__((aligned(64)));
    for (int block = 0; block < blocks; block += 2) {
        const int together = blocks - block < 2 ? 1 : 2;
        const Half *rows = operand_of(w, (time + 1) % 2, depths, block * LANES, 0);
        product(rows, together, depths, weights, weights + (size_t)depths * TILE, sums, 0);
        for (int side = 0; side < 2; side++)
            for (int row = 0; row < together * LANES && block * LANES + row < w->rows; row++)
                retreat(w, time, panel + side, block * LANES + row,
                        _mm512_load_ps(sums[row / LANES][side][row % LANES]), bias_gradient[side],
                        peephole_gradient[side]);
    }
    for (int side = 0; side < 2; side++) {
        add_up(w, w->bias_gradient, panel + side, bias_gradient[side], GATES);
        if (w->peepholes)
            add_up(w, w->peephole_gradient, panel + side, peephole_gradient[side], PEEPHOLES);
    }
}

/* -- window -------------------------------------------------------------------------------- */

typedef void Panels(const Window *w, Product *product, int time, int panel);

AVX512 static void advance_pair(const Window *w, Product *product, int time, int panel) {
    advance_panel(w, product, time, panel);
    advance_panel(w, product, time, panel + 1);
}

/* Process the shares of one thread in all steps. */
static void walk_shares(const Window *w, Panels *work, Product *product, bool backwards,
                        Meeting *meeting, int thread, int num_threads) {
    const int shares = num_panels(w) / 2;
    const int first = shares * thread / num_threads, end = shares * (thread + 1) / num_threads;
    if (w->uses_tiles)
        open_tiles();
    for (int step = 0; step < w->time; step++) {
        for (int share = first; share < end; share++)
            work(w, product, backwards ? w->time - 1 - step : step, 2 * share);
        meet(meeting, num_threads);
    }
    if (w->uses_tiles)
        close_tiles();
}

static void walk(const Window *w, Panels *work, bool backwards) {
    const int shares = num_panels(w) / 2;
    Product *product = w->uses_tiles ? product_amx : product_avx512;
    Meeting meeting = {0, 0};
    int num_threads = 1;
#ifdef _OPENMP
#pragma omp parallel num_threads(w->num_threads)
#endif
    {
        int thread = 0;
#ifdef _OPENMP
        thread = omp_get_thread_num();
        if (thread == 0) /* others are idle: OpenMP would end threads not asked for */
            num_threads = omp_get_num_threads() < shares ? omp_get_num_threads() : shares;
#pragma omp barrier
#endif
        if (thread < num_threads)
            walk_shares(w, work, product, backwards, &meeting, thread, num_threads);
    }
}

/* Compute all hidden vectors and the last cell. The operand's turn 0 is the first hidden vector. */
AVX512 void charlm_lstm_forward(const Window *w) {
    const int depths = padded_size(w) / DEPTH;
    for (int row = 0; row < w->rows; row++)
        for (int panel = 0; panel < num_panels(w); panel++) {
            const __mmask16 mask = lanes_of_panel(w, panel);
            const float *from = w->first_hidden + (size_t)row * w->hidden_size + panel * LANES;
            store_half(operand_of(w, 0, depths, row, panel * LANES), 0xffff,
                       _mm512_maskz_loadu_ps(mask, from));
        }
    walk(w, advance_pair, false);
}

/* Compute the gradients of the gates, the bias, the peepholes and the first cell. */
void charlm_lstm_backward(const Window *w) { walk(w, retreat_pair, true); }

/* -- weights ------------------------------------------------------------------------------- */

/* Pack weights, [gate][unit][unit], for both directions; `backwards` may be NULL:
     forwards   [panel][gate][input block][input pair][lane][2], inputs are units
     backwards  [panel][input block][input pair][lane][2], inputs are gates, in panels as above. */
AVX512 void charlm_lstm_pack(const float *weights, int size, Half *forwards, Half *backwards) {
    const int padded = (size + DEPTH - 1) / DEPTH * DEPTH;
    const size_t column = (size_t)padded * LANES; /* of all inputs */
    for (int gate = 0; gate < GATES; gate++)
#ifdef _OPENMP
#pragma omp parallel for
#endif
        for (int unit = 0; unit < size; unit++) {
            const float *from = weights + ((size_t)gate * size + unit) * size;
            const int panel = unit / LANES, lane = unit % LANES;
            Half *to = forwards + (panel * GATES + gate) * column + 2 * lane;
            const size_t source = (size_t)panel * GATES * LANES + gate * LANES + lane;
            for (int input = 0; input < padded; input += LANES) {
                const int left = size - input;
                const __mmask16 mask = left >= LANES ? 0xffff : left <= 0 ? 0 : (1 << left) - 1;
                Half some[LANES];
                store_half(some, 0xffff, _mm512_maskz_loadu_ps(mask, from + input));
                for (int pair = 0; pair < LANES / 2; pair++)
                    memcpy(to + (size_t)(input / 2 + pair) * DEPTH, some + 2 * pair, 4);
                if (backwards) {
                    Half *back = backwards + input / LANES * GATES * column +
                                 source / 2 * DEPTH + source % 2;
                    for (int k = 0; k < LANES; k++)
                        back[2 * k] = some[k];
                }
            }
        }
}

#else

int charlm_lstm_speed(void) { return 0; }

#endif
