#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace seedbed {

/// Where progress is shown; tests provide their own.
struct progress_output {
    using clock = std::chrono::steady_clock;

    /// Columns of the terminal, queried before each drawing, because it may be resized; 0 if there is no terminal.
    std::function<int()> width;
    std::function<void(std::string_view)> write;
    std::function<clock::time_point()> now;
};

/// Standard error, as a terminal if it is one and TERM is set to a value other than "dumb".
[[nodiscard]] progress_output standard_error_output();

/// Shows the progress of long work: on a terminal, a line that is redrawn,
///
///     downloading  45% [=====>        ] 1.2/2.7 GiB  512 MiB/s    3s left  12 peers
///
/// and elsewhere, a line every few seconds. The work is a sequence of phases, each with a name, a number of bytes done
/// of a total, and a line that replaces it when it ends. If the line is too long, parts are dropped: first the amounts,
/// then the extra text, the bar, the time left and the rate.
///
/// Threads: confined to one. It draws only within calls, so call update() even while nothing changes.
class progress_display {
public:
    using clock = progress_output::clock;

    explicit progress_display(progress_output output = standard_error_output());
    progress_display(progress_display const&) = delete;
    progress_display& operator=(progress_display const&) = delete;
    /// Removes the line.
    ~progress_display();

    /// Starts a phase. \param name as "downloading", ASCII.
    void begin(std::string_view name);
    /// May be called at any rate: it draws after draw_interval or line_interval. Rate and time left are averages over
    /// about the last rate_window. The bytes done at the first call of a phase do not count towards them.
    /// \param total bytes; 0 if unknown. \param extra such as "12 peers".
    void update(std::int64_t done, std::int64_t total, std::string_view extra = {});
    /// Sums up the phase since its first update(): "hashed 425 MiB in 0.5s (789 MiB/s)".
    [[nodiscard]] std::string summary(std::string_view verb) const;
    /// Ends the phase. \param line replaces the progress; if empty, nothing does.
    void finish(std::string_view line = {});
    /// Writes a line above the progress.
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
    std::int64_t m_first = 0; ///< done at the first update()
    bool m_started = false;   ///< update() has been called
    clock::time_point m_begin{};
    clock::time_point m_counted{}; ///< the last update
    clock::time_point m_drawn{};   ///< the last drawing, or the beginning of the phase
    double m_recent_bytes = 0;     ///< both decay at the same rate, so that their ratio is a rate from the start
    double m_recent_seconds = 0;
    bool m_shown = false; ///< the terminal shows our line
};

/// Done and total in the unit of the total, at a constant width: " 1.2/12.7 GiB". Only the bytes done if the total is
/// unknown (0).
[[nodiscard]] std::string format_progress_bytes(std::int64_t done, std::int64_t total);

} // namespace seedbed
