#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace seedbed {

/// Where progress is shown; tests give one of their own.
struct progress_output {
    using clock = std::chrono::steady_clock;

    /// Columns of the terminal, asked each time something is drawn, so that it may be resized; 0 where there is none.
    std::function<int()> width;
    std::function<void(std::string_view)> write;
    std::function<clock::time_point()> now;
};

/// Standard error: a terminal unless it is something else or TERM is "dumb".
[[nodiscard]] progress_output standard_error_output();

/// Shows how far something that takes long is: on a terminal one line that is drawn again and again,
///
///     downloading  45% [=====>        ] 1.2/2.7 GiB  512 MiB/s    3s left  12 peers
///
/// and elsewhere a line now and then. The work is one or more phases, one after another, each with a name, bytes that
/// are done of a total, and a line that stands in its place when it is over. What does not fit into the line is left
/// out: first the amounts, then the extra text, the bar, the time left and the rate.
///
/// Threads: confined to one. It draws within the calls only, so update() is to be called also while nothing moves.
class progress_display {
public:
    using clock = progress_output::clock;

    explicit progress_display(progress_output output = standard_error_output());
    progress_display(progress_display const&) = delete;
    progress_display& operator=(progress_display const&) = delete;
    /// Takes the line away.
    ~progress_display();

    /// Starts a phase. \param name as "downloading", ASCII.
    void begin(std::string name);
    /// As often as one likes: it draws when draw_interval or line_interval has passed. Rate and time left are those of
    /// the last rate_window or so, and start with the first call of a phase: what is done there was so before.
    /// \param total bytes; 0 where it is not known. \param extra as "12 peers".
    void update(std::int64_t done, std::int64_t total, std::string_view extra = {});
    /// What the phase has done, from its first update() on: "hashed 425 MiB in 0.5s (789 MiB/s)".
    [[nodiscard]] std::string summary(std::string_view verb) const;
    /// Ends the phase. \param line what stands in its place; nothing where it is empty.
    void finish(std::string_view line = {});
    /// Writes a line above that of the phase.
    void print(std::string_view line);

    static constexpr std::chrono::milliseconds draw_interval{100};
    static constexpr std::chrono::seconds line_interval{5};
    static constexpr std::chrono::seconds rate_window{5};

private:
    void count(clock::time_point now);
    void draw();
    void clear();
    [[nodiscard]] std::string bar_line(int columns) const;
    [[nodiscard]] std::string plain_line() const;
    [[nodiscard]] double fraction() const;
    [[nodiscard]] double rate() const;
    [[nodiscard]] std::string rate_text() const;
    [[nodiscard]] std::string left_text() const;

    progress_output const m_output;
    std::string m_name; ///< empty between phases
    std::string m_extra;
    std::int64_t m_done = 0;
    std::int64_t m_total = 0;
    std::int64_t m_first = 0; ///< done at the first update
    bool m_started = false;   ///< there was one
    clock::time_point m_begin{};
    clock::time_point m_counted{}; ///< the last update
    clock::time_point m_drawn{};   ///< or where nothing was yet, the beginning
    double m_recent_bytes = 0;     ///< both fade at the same pace, so that their ratio is a rate from the start
    double m_recent_seconds = 0;
    bool m_shown = false; ///< the terminal has a line of ours
};

/// Done and total in the unit of the total, always of the same width: " 1.2/12.7 GiB". Of an unknown total (0): the
/// bytes done.
[[nodiscard]] std::string format_progress_bytes(std::int64_t done, std::int64_t total);

} // namespace seedbed
