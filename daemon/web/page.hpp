#pragma once

#include <string_view>

namespace seedbed {

/// The page of page.html. It has one <style> and one <script>.
[[nodiscard]] std::string_view page_text() noexcept;

} // namespace seedbed
